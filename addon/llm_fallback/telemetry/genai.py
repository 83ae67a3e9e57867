"""Requests in the words of OpenTelemetry: the conventions for generative AI, and those for HTTP. Pure.

Never a word of a prompt or an answer. What the conventions have no name for begins with `llm_fallback.`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from llm_fallback.events import Attempted, Handled
from llm_fallback.local_replies import CUT, Flag
from llm_fallback.telemetry.facts import key_of, request_model

type Value = str | int | float | bool | Sequence[str]
type Attributes = dict[str, Value]

_OPERATIONS = {
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/responses": "chat",
    "/messages": "chat",
}
_PROVIDERS = {
    "openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "anthropic.com": "anthropic",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
"""The conventions' names, by the ends of hosts."""

_CUT = CUT | {Flag.DOWNSTREAM_CONNECTION_TERMINATION}
_CANCELLED = "cancelled"


def operation_of(event: Handled) -> str | None:
    """`gen_ai.operation.name`, by the path; None for what generates nothing, such as a list of models."""
    path = event.received.path.partition("?")[0] if event.received else ""
    for end, operation in _OPERATIONS.items():
        if path.endswith(end):
            return operation
    is_chat = event.method == "POST" and (request_model(event) or event.answer.figures.model)
    return "chat" if is_chat else None  # such as one to the bare host


def error_type(event: Handled) -> str | None:
    """`error.type` of a request: its status, `cancelled`, or the flag of an answer that was cut."""
    if event.status is None:
        return _CANCELLED
    if event.status >= 400:
        return str(event.status)
    return next((str(flag) for flag in event.flags if flag in _CUT), None)


def attempt_error_type(attempt: Attempted) -> str | None:
    """`error.type` of an attempt: a failure's word, its status, or `cancelled`; None for a good answer."""
    if attempt.failure:
        return attempt.failure
    if attempt.status is None:
        return _CANCELLED
    return str(attempt.status) if attempt.status >= 400 else None


def span_name(event: Handled, operation: str | None) -> str:
    """`chat MODEL`, or by the conventions for HTTP where it is no operation on a model."""
    if operation is None:
        return f"{event.method} {event.host}"
    model = request_model(event)
    return f"{operation} {model}" if model else operation


def labels(event: Handled, operation: str) -> Attributes:
    """What the conventions' metrics have for attributes, except the models."""
    return _present(
        {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _provider(event),
            **_server(event.target),
        }
    )


def attributes(event: Handled, operation: str | None) -> Attributes:
    """Of the span of a whole request."""
    figures, received, rescue = event.answer.figures, event.received, event.rescue
    return _present(
        {
            **(labels(event, operation) if operation else _server(event.target)),
            "gen_ai.request.model": request_model(event),
            "gen_ai.response.model": figures.model,
            "gen_ai.usage.input_tokens": figures.input_tokens,
            "gen_ai.usage.output_tokens": figures.output_tokens,
            "gen_ai.response.finish_reasons": [figures.finish_reason] if figures.finish_reason else None,
            "http.request.method": event.method,
            "http.response.status_code": event.status,
            "url.path": received.path.partition("?")[0] if received else None,
            "error.type": error_type(event),
            "llm_fallback.id": event.id or None,
            "llm_fallback.host": event.host,
            "llm_fallback.route": event.route,
            "llm_fallback.target": event.target,
            "llm_fallback.fallback_from": event.instead_of,
            "llm_fallback.response_flags": [str(flag) for flag in event.flags] or None,
            "llm_fallback.attempts": len(event.attempts),
            "llm_fallback.time_to_first_byte": event.answer.first_byte_s,
            "llm_fallback.policy": rescue.policy if rescue else None,
            "llm_fallback.rescued_from": list(rescue.reasons) or None if rescue else None,
            "llm_fallback.override": event.override,
        }
    )


def attempt_name(event: Handled, attempt: Attempted) -> str:
    """By the conventions for HTTP, with the target for what is asked for."""
    return f"{event.method} {attempt.target}"


def attempt_attributes(event: Handled, number: int) -> Attributes:
    """Of the span of one attempt, by its number from 0."""
    attempt = event.attempts[number]
    address, _, port = (attempt.endpoint or "").rpartition(":")
    return _present(
        {
            **_server(attempt.target),
            "network.peer.address": address.strip("[]") or None,
            "network.peer.port": int(port) if port.isascii() and port.isdecimal() else None,
            "http.request.method": event.method,
            "http.request.resend_count": number or None,
            "http.response.status_code": attempt.status,
            "error.type": attempt_error_type(attempt),
            "gen_ai.request.model": attempt.model,
            "llm_fallback.target": attempt.target,
            "llm_fallback.result": attempt.result,
            "llm_fallback.lost": attempt.lost_after_s is not None,
            "llm_fallback.lost.input_tokens": attempt.figures.input_tokens,
            "llm_fallback.lost.output_tokens": attempt.figures.output_tokens,
        }
    )


def _provider(event: Handled) -> str:
    """The provider's name in the conventions; of an unknown one, whose API it speaks."""
    key = key_of(event.target)
    if known := _known_provider(key[0] if key else event.host):
        return known
    is_anthropic = event.received is not None and event.received.path.partition("?")[0].endswith("/messages")
    return "anthropic" if is_anthropic else "openai"


@lru_cache(maxsize=1024)  # they are the configuration's
def _known_provider(host: str) -> str | None:
    if host.endswith("aiplatform.googleapis.com"):  # after the region and a hyphen
        return "gcp.vertex_ai"
    parts = host.split(".")
    ends = (".".join(parts[start:]) for start in range(len(parts)))
    return next((_PROVIDERS[end] for end in ends if end in _PROVIDERS), None)


def _server(target: str) -> Mapping[str, Value]:
    key = key_of(target)
    return {"server.address": key[0], "server.port": key[1]} if key else {}


def _present(values: Mapping[str, Value | None]) -> Attributes:
    return {name: _writable(value) for name, value in values.items() if value is not None}


def _writable(value: Value) -> Value:
    """One text that cannot be written would cost all the spans that are sent with it."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode(errors="replace").decode()
