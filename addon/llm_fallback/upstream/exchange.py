"""The life of one managed request: route, target, attempts, and the answer piece by piece.

    request -> route -> target or its fallback, once -> attempt, retries -> local reply or provider's answer

Nothing is buffered: what a provider sends is passed on as it comes, and more is asked for only when whoever
takes the pieces is ready. A body that breaks ends in `End.BROKEN`, never in a clean end. Cancelling the wait
for pieces cancels the attempt at once, and proves nothing about the provider.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum, auto
from typing import Protocol

from llm_fallback import local_replies, retry
from llm_fallback.config.snapshot import Snapshot, Target
from llm_fallback.events import Attempted, Event, Handled
from llm_fallback.health import Health
from llm_fallback.local_replies import Flag, LocalReply
from llm_fallback.outlier import Endpoint, Outcome
from llm_fallback.retry import Failure
from llm_fallback.rewriting import OriginalRequest, Outgoing, end_to_end, is_well_formed, rewrite
from llm_fallback.routing import find_route
from llm_fallback.selection import choose_endpoint, choose_target
from llm_fallback.upstream.client import AttemptFailed, BodyBroken, UpstreamClient, UpstreamResponse
from llm_fallback.upstream.defects import report
from llm_fallback.upstream.discovery import Discovery

_POLICY = retry.DEFAULT_POLICY


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of the answer; without `has_body`, no piece of a body follows."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    has_body: bool
    is_local: bool = False


class End(Enum):
    """How an answer ended."""

    COMPLETE = auto()
    BROKEN = auto()


type Piece = Head | bytes | End


class Observer(Protocol):
    """Follows one exchange."""

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """An attempt is about to be made."""

    def handled(self, event: Handled) -> None:
        """The exchange is over, except that its last pieces may still be on their way."""


class Shared(Protocol):
    """What an exchange shares with all others."""

    client: UpstreamClient
    health: Health
    discovery: Discovery
    clock: Callable[[], float]
    rng: random.Random
    on_event: Callable[[Event], None]

    def sweep(self) -> None:
        """Do the sweeps that are due."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """An attempt that has response headers."""

    response: UpstreamResponse
    endpoint: Endpoint
    service_time_s: float


class Exchange:
    """One managed request on its way, and what has been learnt about it so far."""

    def __init__(
        self, shared: Shared, snapshot: Snapshot, request: OriginalRequest, observer: Observer
    ) -> None:
        self._shared = shared
        self._snapshot = snapshot
        self._request = request
        self._observer = observer
        routed = find_route(snapshot, request.host, listener_port=request.port, rng=shared.rng)
        if routed is None:
            raise LookupError("the host is not managed")
        self._routed = routed
        self._target: Target | None = routed.target
        self._endpoint_count = 0
        self._attempts: list[Attempted] = []
        self._status: int | None = None
        self._flags: tuple[Flag, ...] = ()
        self._began = shared.clock()
        self._answered: _Answered | None = None
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether there are no more pieces."""
        return self._is_over

    async def pieces(self) -> list[Piece]:
        """The next pieces of the answer: what is there, waiting only if there is nothing."""
        if self._answered:
            return await self._more(self._answered)
        answer = await self._answer()
        if isinstance(answer, LocalReply):
            self._status, self._flags = answer.status, answer.flags
            self._finish()
            return local_pieces(answer)
        self._answered = answer
        self._status = answer.response.status
        start = answer.response.read_ready()
        head = _head(answer, has_body=bool(start) or not answer.response.is_complete)
        return self._with_end([head, start] if start else [head], answer.response)

    def close(self) -> None:
        """Stop here. Nothing happens if the exchange is over; if not, the client has left."""
        if not self._is_over:
            self._flags = (*self._flags, Flag.DOWNSTREAM_CONNECTION_TERMINATION)
            self._finish()

    async def _answer(self) -> LocalReply | _Answered:
        try:
            return await self._try()
        except Exception as error:  # noqa: BLE001 - fail closed: no defect of ours sends a request elsewhere
            report(error)
            return local_replies.INTERNAL_ERROR

    async def _try(self) -> LocalReply | _Answered:
        """Attempts at the one target that is chosen before the first of them."""
        if not is_well_formed(self._request):
            return local_replies.BAD_REQUEST
        target = self._target = await self._choose_target()
        if target is None:
            return local_replies.NO_SUCH_TARGET
        outgoing = rewrite(self._request, target, self._snapshot.provider_of(self._request.host))
        tried: list[Endpoint] = []
        while True:
            retries_done = len(tried)
            if retries_done:
                await asyncio.sleep(retry.backoff_s(retries_done, self._shared.rng))
            endpoint = await self._choose_endpoint(target, tried)
            if endpoint is None:
                self._attempts.append(Attempted(target.host, None, "no healthy endpoint", 0.0))
                return local_replies.NO_HEALTHY_UPSTREAM
            tried.append(endpoint)
            result = await self._attempt(target, endpoint, outgoing)
            condition = _condition(result)
            size = len(outgoing.body)
            if not retry.may_retry(_POLICY, condition, retries_done=retries_done, body_size=size):
                break
            if isinstance(result, _Answered):
                result.response.release()
        if isinstance(result, _Answered):
            return result
        limit_reached = condition in _POLICY.retry_on and retries_done == _POLICY.attempts
        return local_replies.connect_error(result, retries_done=retries_done, limit_reached=limit_reached)

    async def _choose_target(self) -> Target | None:
        target, fallback = self._routed.target, self._routed.fallback
        if target is None or fallback is None:
            return target
        here = await self._shared.discovery.endpoints(target)
        there = await self._shared.discovery.endpoints(fallback)
        self._shared.sweep()
        health = self._shared.health
        return choose_target(
            target, fallback, lambda place: health.is_healthy(place, here if place is target else there)
        )

    async def _choose_endpoint(self, target: Target, tried: list[Endpoint]) -> Endpoint | None:
        endpoints = await self._shared.discovery.endpoints(target)
        self._endpoint_count = len(endpoints)
        self._shared.sweep()
        return choose_endpoint(
            endpoints,
            lambda endpoint: self._shared.health.is_ejected(target, endpoint),
            panic_threshold=target.panic_threshold,
            tried=tried,
            rng=self._shared.rng,
        )

    async def _attempt(self, target: Target, endpoint: Endpoint, outgoing: Outgoing) -> Failure | _Answered:
        """One upstream try, up to the response headers."""
        began = self._shared.clock()
        self._observer.attempting(outgoing, target, endpoint)
        result = "cancelled"
        try:
            response = await self._shared.client.send(target, endpoint, outgoing)
            result = str(response.status)
        except AttemptFailed as failed:
            result = f"{failed.failure} ({failed})"
            if failed.failure.is_after_connecting:
                self._record(target, endpoint, Outcome(200, local_origin=True))
            self._record(target, endpoint, Outcome(503, local_origin=True))
            return failed.failure
        finally:
            took = self._shared.clock() - began
            self._attempts.append(Attempted(target.host, str(endpoint), result, took))
        self._record(target, endpoint, Outcome(200, local_origin=True))
        self._record(target, endpoint, Outcome(response.status))
        return _Answered(response, endpoint, took)

    def _record(self, target: Target, endpoint: Endpoint, outcome: Outcome) -> None:
        now = self._shared.clock()
        ejected = self._shared.health.record(target, endpoint, outcome, total=self._endpoint_count, now=now)
        if ejected:
            self._shared.on_event(ejected)
            self._shared.sweep()

    async def _more(self, answer: _Answered) -> list[Piece]:
        try:
            data = await answer.response.read()
        except BodyBroken:
            self._flags = (Flag.UPSTREAM_CONNECTION_TERMINATION,)
            if self._target:
                self._record(self._target, answer.endpoint, Outcome(503, local_origin=True))
            rest = answer.response.read_rest()
            self._finish()
            return [rest, End.BROKEN] if rest else [End.BROKEN]
        return self._with_end([data] if data else [], answer.response)

    def _with_end(self, pieces: list[Piece], response: UpstreamResponse) -> list[Piece]:
        if response.is_complete:
            pieces.append(End.COMPLETE)
            self._finish()
        return pieces

    def _finish(self) -> None:
        """Let go of the connection and say what happened, before the last pieces go out."""
        self._is_over = True
        if self._answered:
            self._answered.response.release()
        fell_back = self._target is not self._routed.target
        event = Handled(
            self._request.method,
            self._request.host,
            self._routed.route.name,
            str(self._target or "nowhere"),
            str(self._routed.target) if fell_back else None,
            tuple(self._attempts),
            self._status,
            tuple(self._flags),
            self._shared.clock() - self._began,
        )
        self._observer.handled(event)
        self._shared.on_event(event)


def _condition(result: Failure | _Answered) -> str | None:
    if isinstance(result, Failure):
        return result.condition
    return retry.grpc_condition(result.response.header("grpc-status"))


def _head(answer: _Answered, *, has_body: bool) -> Head:
    response = answer.response
    service_time = ("x-envoy-upstream-service-time", str(round(answer.service_time_s * 1000)))
    headers = [(n, v) for n, v in end_to_end(response.headers) if n.lower() != service_time[0]]
    return Head(response.status, response.reason, (*headers, service_time), has_body)


def local_pieces(reply: LocalReply) -> list[Piece]:
    """Envoy's local reply with the headers that Envoy gives it."""
    body = reply.body.encode()
    headers = [("content-length", str(len(body)))]
    if body:
        headers.append(("content-type", "text/plain"))
    headers += [("date", formatdate(usegmt=True)), ("server", "envoy")]
    head = Head(reply.status, "", tuple(headers), has_body=bool(body), is_local=True)
    return [head, *([body] if body else []), End.COMPLETE]
