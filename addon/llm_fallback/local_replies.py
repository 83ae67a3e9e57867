"""What Envoy answers itself, byte for byte: status, text, and the response flags that explain it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from llm_fallback.retry import Failure


class Flag(StrEnum):
    """Envoy's response flags, in the order in which Envoy writes them."""

    NO_HEALTHY_UPSTREAM = "UH"
    UPSTREAM_REQUEST_TIMEOUT = "UT"
    LOCAL_RESET = "LR"
    UPSTREAM_CONNECTION_FAILURE = "UF"
    UPSTREAM_CONNECTION_TERMINATION = "UC"
    UPSTREAM_OVERFLOW = "UO"
    NO_ROUTE_FOUND = "NR"
    DELAY_INJECTED = "DI"
    FAULT_INJECTED = "FI"
    DOWNSTREAM_CONNECTION_TERMINATION = "DC"
    UPSTREAM_RETRY_LIMIT_EXCEEDED = "URX"
    DOWNSTREAM_PROTOCOL_ERROR = "DPE"
    UPSTREAM_PROTOCOL_ERROR = "UPE"
    NO_CLUSTER_FOUND = "NC"


CUT = frozenset({Flag.UPSTREAM_CONNECTION_TERMINATION, Flag.UPSTREAM_REQUEST_TIMEOUT, Flag.LOCAL_RESET})
"""What says of an answer that has begun that it did not come to its end, though the client was there."""

_OTHER_PHRASES = {
    413: "Payload Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    418: "Unknown",
    422: "Unprocessable Entity",
}
"""Where Envoy's words are not those of every Python version."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | _OTHER_PHRASES


def reason_phrase(status: int) -> str:
    """The words that Envoy writes after a status, whatever the upstream wrote."""
    return _PHRASES.get(status, "Unknown")


_ORDER = {flag: place for place, flag in enumerate(Flag)}


def in_order(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    """Each of the flags once, as Envoy's access log has them."""
    return tuple(sorted(set(flags), key=_ORDER.__getitem__))


@dataclass(frozen=True, slots=True)
class LocalReply:
    """An answer that no upstream gave; `headers` come before those that every local reply has.

    `is_changed_by_rules`: header operations of the request's rule apply, as to any other answer.
    """

    status: int
    body: str = ""
    flags: tuple[Flag, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    is_changed_by_rules: bool = True
    content_type: str = "text/plain"


NO_HEALTHY_UPSTREAM = LocalReply(503, "no healthy upstream", (Flag.NO_HEALTHY_UPSTREAM,))
NO_SUCH_TARGET = LocalReply(503, "", (Flag.NO_CLUSTER_FOUND,))
NO_ROUTE = LocalReply(404, "", (Flag.NO_ROUTE_FOUND,))
REQUEST_TIMEOUT = LocalReply(504, "upstream request timeout", (Flag.UPSTREAM_REQUEST_TIMEOUT,))
BAD_REQUEST = LocalReply(400, "", (Flag.DOWNSTREAM_PROTOCOL_ERROR,), is_changed_by_rules=False)
INTERNAL_ERROR = LocalReply(
    500, "llm-fallback failed to handle this request; its log says why", is_changed_by_rules=False
)

_RESETS = {
    Failure.CONNECT_FAILURE: (503, "remote connection failure", Flag.UPSTREAM_CONNECTION_FAILURE),
    Failure.CONNECT_TIMEOUT: (503, "connection timeout", Flag.UPSTREAM_CONNECTION_FAILURE),
    Failure.RESET: (503, "connection termination", Flag.UPSTREAM_CONNECTION_TERMINATION),
    Failure.PROTOCOL_ERROR: (502, "protocol error", Flag.UPSTREAM_PROTOCOL_ERROR),
    Failure.OVERFLOW: (503, "overflow", Flag.UPSTREAM_OVERFLOW),
}


def failed(failure: Failure, *, retries_done: int) -> LocalReply:
    """The answer when the last attempt failed before response headers."""
    if failure in (Failure.TIMEOUT, Failure.TIMEOUT_CONNECTING):
        return REQUEST_TIMEOUT
    status, reason, flag = _RESETS[failure]
    retried = "retried and the latest reset reason" if retries_done else "reset reason"
    body = f"upstream connect error or disconnect/reset before headers. {retried}: {reason}"
    overloaded = (("x-envoy-overloaded", "true"),) if failure is Failure.OVERFLOW else ()
    return LocalReply(status, body, (flag,), overloaded)


def no_answer(reason: str, error: str = "") -> LocalReply:
    """The answer when an upstream has said 200 and nothing that is an answer; its own `error` if it has one.

    Nothing of the kind is Envoy's: only a policy looks into answers.
    """
    flags = (Flag.UPSTREAM_PROTOCOL_ERROR,)
    if error:
        return LocalReply(502, error, flags, content_type="application/json")
    return LocalReply(502, f"upstream answer is no answer: {reason}", flags)
