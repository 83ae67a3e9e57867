"""What an answer has cost, by its own account."""

from collections.abc import Mapping
from typing import Any

from llm_fallback.conversation.values import count, mapping


def output_tokens(usage: Mapping[str, Any]) -> int | None:
    """How many tokens were generated, thinking included."""
    return _first(usage, "completion_tokens", "output_tokens")


def usage_text(usage: Mapping[str, Any]) -> str:
    """`120 tokens in (100 from the cache), 45 out (30 thinking)`, as far as it is known."""
    tokens_in = _first(usage, "prompt_tokens", "input_tokens")
    tokens_out = output_tokens(usage)
    known = []
    if tokens_in is not None:
        known.append(f"{tokens_in} tokens in{_cached(usage)}")
    if tokens_out is not None:
        details = mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
        thinking = _first(details, "reasoning_tokens", "thinking_tokens")
        unit = "out" if known else "tokens out"
        known.append(f"{tokens_out} {unit}" + (f" ({thinking} thinking)" if thinking else ""))
    return ", ".join(known)


def _cached(usage: Mapping[str, Any]) -> str:
    details = mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    if cached := _first(details, "cached_tokens"):
        return f" ({cached} of them from the cache)"
    # Anthropic does not count them among the others.
    read, written = _first(usage, "cache_read_input_tokens"), _first(usage, "cache_creation_input_tokens")
    more = [f"{read} more from the cache"] if read else []
    more += [f"{written} more into it" if read else f"{written} more into the cache"] if written else []
    return f" ({', '.join(more)})" if more else ""


def _first(values: Mapping[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := count(values.get(name))) is not None), None)
