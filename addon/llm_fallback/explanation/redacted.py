"""What decisions hold, without their credentials. Pure."""

from dataclasses import replace

from llm_fallback.config.routes import HeaderOperations
from llm_fallback.explanation import model
from llm_fallback.headers import Headers
from llm_fallback.local_replies import LocalReply, in_order
from llm_fallback.messages import OriginalRequest
from llm_fallback.redaction import REDACTED, redact_query, redact_value
from llm_fallback.resources.base import Expanded


def request(original: OriginalRequest) -> model.Request:
    """The client's request."""
    url = f"{original.scheme}://{original.authority}{redact_query(original.path)}"
    return model.Request(original.method, url, headers(original.headers), len(original.body))


def headers(fields: Headers) -> Headers:
    """Headers, among them those that quote a query with a credential (`location`, `referer`)."""
    return tuple((name, redact_value(name, value)) for name, value in fields)


def operations(written: HeaderOperations) -> HeaderOperations:
    """Header operations."""
    return replace(written, set=headers(written.set), add=headers(written.add))


def answer(reply: LocalReply, why: str) -> model.Answer:
    """A local reply, and why it is given."""
    flags = tuple(str(flag) for flag in in_order(reply.flags))
    body = REDACTED if isinstance(reply.body, Expanded) else reply.body
    return model.Answer(reply.status, headers(reply.headers), body, flags, why)
