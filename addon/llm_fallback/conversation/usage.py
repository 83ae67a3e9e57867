"""What an answer has cost, by its own account."""

from collections.abc import Mapping
from typing import Any

from llm_fallback.figures import tokens
from llm_fallback.json_values import count, mapping


def usage_text(usage: Mapping[str, Any]) -> str:
    """`120 tokens in (100 of them from the cache), 45 out (30 thinking)`, as far as it is known."""
    tokens_in, tokens_out = tokens(usage)
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
    read, written = _first(usage, "cache_read_input_tokens"), _first(usage, "cache_creation_input_tokens")
    known = [f"{read} of them from the cache"] if read else []
    known += [f"{written} into it" if read else f"{written} of them into the cache"] if written else []
    return f" ({', '.join(known)})" if known else ""


def _first(values: Mapping[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := count(values.get(name))) is not None), None)
