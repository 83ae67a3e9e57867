"""What a client gets: the head of an answer with the rule's changes to it, and the pieces that follow.

`wall_time` is in seconds since 1970.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum, auto
from functools import lru_cache

from llm_fallback import cors, header_operations
from llm_fallback.config.routes import NO_HEADERS, RouteDestination
from llm_fallback.headers import Headers
from llm_fallback.local_replies import LocalReply, reason_phrase
from llm_fallback.matching import RequestFacts
from llm_fallback.messages import end_to_end
from llm_fallback.routing import Matched
from llm_fallback.upstream.attempts import Answered

_SERVER = ("server", "envoy")
_SERVICE_TIME = "x-envoy-upstream-service-time"
_REPLACED = frozenset({_SERVER[0], _SERVICE_TIME})


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of the answer; without `has_body`, no piece of a body follows."""

    status: int
    reason: str
    headers: Headers
    has_body: bool
    is_local: bool = False


class End(Enum):
    """How an answer ended."""

    COMPLETE = auto()
    BROKEN = auto()


type Piece = Head | bytes | End


def upstream_head(
    answer: Answered,
    changes: "Changes | None",
    *,
    wall_time: float,
    has_body: bool,
    with_cookies: bool = True,
) -> Head:
    """The head of an upstream's answer, with Envoy's marks on it."""
    response = answer.response
    left_out = _REPLACED if with_cookies else _REPLACED | {"set-cookie"}
    headers = [(n, v) for n, v in end_to_end(response.headers) if n.lower() not in left_out]
    if response.header("date") is None:
        headers.append(("date", _date(int(wall_time))))
    headers += [(_SERVICE_TIME, str(round(answer.service_time_s * 1000))), _SERVER]
    changed = changes.apply(tuple(headers)) if changes else tuple(headers)
    return Head(response.status, reason_phrase(response.status), changed, has_body)


def local_pieces(
    reply: LocalReply, changes: "Changes | None" = None, *, wall_time: float, method: str = "GET"
) -> list[Piece]:
    """A local reply with the headers that Envoy gives it; to HEAD, its body is told of and not sent."""
    body = reply.body.encode("utf-8", "surrogateescape")
    headers = [*reply.headers, ("content-length", str(len(body)))]
    if body:
        headers.append(("content-type", reply.content_type))
    changed = changes.apply(tuple(headers)) if changes else tuple(headers)
    body = b"" if method == "HEAD" else body
    head = Head(
        reply.status,
        reason_phrase(reply.status),
        (*changed, ("date", _date(int(wall_time))), _SERVER),
        has_body=bool(body),
        is_local=True,
    )
    return [head, *([body] if body else []), End.COMPLETE]


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)


@dataclass(frozen=True, slots=True)
class Changes:
    """What the rule of a request does to the headers of its answer, whoever gives it.

    Without `facts` the rule's CORS policy plays no part. `marks` are headers that a policy adds.
    """

    matched: Matched
    facts: RequestFacts | None
    destination: RouteDestination | None = None
    set_cookie: str | None = None
    marks: Headers = ()

    def apply(self, headers: Headers) -> Headers:
        """The headers after the rule's and the destination's operations, and what a page may read of them."""
        route = self.matched.route
        own = self.destination.headers if self.destination else NO_HEADERS
        if route.headers is not NO_HEADERS or own is not NO_HEADERS:
            for operations in header_operations.in_order(
                route.headers.response, own.response, is_weighted=route.is_weighted
            ):
                headers = header_operations.apply(operations, headers)
        if route.cors and self.facts and isinstance(route.action, tuple):
            headers = cors.response_headers(route.cors, self.facts, headers)
        cookies = (("set-cookie", self.set_cookie),) if self.set_cookie else ()
        return (*headers, *cookies, *self.marks)
