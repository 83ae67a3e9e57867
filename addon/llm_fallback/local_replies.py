"""What Envoy answers itself, byte for byte: status, text, and the response flags that explain it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from llm_fallback.retry import Failure


class Flag(StrEnum):
    """Envoy's response flags."""

    NO_HEALTHY_UPSTREAM = "UH"
    UPSTREAM_CONNECTION_FAILURE = "UF"
    UPSTREAM_CONNECTION_TERMINATION = "UC"
    UPSTREAM_PROTOCOL_ERROR = "UPE"
    UPSTREAM_RETRY_LIMIT_EXCEEDED = "URX"
    NO_CLUSTER_FOUND = "NC"
    DOWNSTREAM_CONNECTION_TERMINATION = "DC"
    DOWNSTREAM_PROTOCOL_ERROR = "DPE"


@dataclass(frozen=True, slots=True)
class LocalReply:
    """An answer that no upstream gave."""

    status: int
    body: str
    flags: tuple[Flag, ...] = ()


NO_HEALTHY_UPSTREAM = LocalReply(503, "no healthy upstream", (Flag.NO_HEALTHY_UPSTREAM,))
NO_SUCH_TARGET = LocalReply(503, "", (Flag.NO_CLUSTER_FOUND,))
BAD_REQUEST = LocalReply(400, "", (Flag.DOWNSTREAM_PROTOCOL_ERROR,))
INTERNAL_ERROR = LocalReply(500, "llm-fallback failed to handle this request; its log says why")

_RESETS = {
    Failure.CONNECT_FAILURE: (503, "remote connection failure", Flag.UPSTREAM_CONNECTION_FAILURE),
    Failure.CONNECT_TIMEOUT: (503, "connection timeout", Flag.UPSTREAM_CONNECTION_FAILURE),
    Failure.RESET: (503, "connection termination", Flag.UPSTREAM_CONNECTION_TERMINATION),
    Failure.PROTOCOL_ERROR: (502, "protocol error", Flag.UPSTREAM_PROTOCOL_ERROR),
}


def connect_error(failure: Failure, *, retries_done: int, limit_reached: bool) -> LocalReply:
    """The answer when the last attempt failed before response headers."""
    status, reason, flag = _RESETS[failure]
    retried = "retried and the latest reset reason" if retries_done else "reset reason"
    body = f"upstream connect error or disconnect/reset before headers. {retried}: {reason}"
    return LocalReply(status, body, (flag, Flag.UPSTREAM_RETRY_LIMIT_EXCEEDED) if limit_reached else (flag,))
