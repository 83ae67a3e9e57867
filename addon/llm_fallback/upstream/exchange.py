"""The life of one managed request: rule, target, attempts, and the answer piece by piece.

    request -> rule -> target or its fallback, once -> faults -> attempts -> local reply or upstream's answer

Nothing is buffered, unless a policy holds an answer until it is one: what a provider sends is passed on as it
comes, and more is asked for only when whoever takes the pieces is ready. A body that breaks ends in
`End.BROKEN`, never in a clean end. Cancelling the wait for pieces cancels the attempt at once, and proves
nothing about the provider.
"""

import asyncio
from typing import Protocol

from llm_fallback import cors, faults, local_replies, redirects
from llm_fallback.bodies import Bodies
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import Route
from llm_fallback.config.snapshot import Snapshot, Target, name_of
from llm_fallback.events import NO_ANSWER, REPORTED_HEADERS, Answer, Handled, Received, Rescued
from llm_fallback.figures import figures_of
from llm_fallback.local_replies import Flag, LocalReply
from llm_fallback.messages import OriginalRequest, is_well_formed
from llm_fallback.outlier import Outcome
from llm_fallback.redaction import redact_query
from llm_fallback.routing import Matched, Routed, choose_destination, find_route
from llm_fallback.selection import choose_target
from llm_fallback.upstream.answers import Changes, End, Piece, local_pieces, upstream_head
from llm_fallback.upstream.attempts import Answered, Limits
from llm_fallback.upstream.client import BodyBroken, Response
from llm_fallback.upstream.defects import report, tell
from llm_fallback.upstream.dispatch import Dispatch, Sent
from llm_fallback.upstream.record import Record
from llm_fallback.upstream.shared import Shared, Watcher
from llm_fallback.wording import printable

_CLIENT_RETRIES = "x-stainless-retry-count"  # of the official SDKs


class Observer(Watcher, Protocol):
    """Follows one exchange."""

    def handled(self, event: Handled) -> None:
        """The exchange is over, except that its last pieces may still be on their way."""


class Exchange:
    """One managed request on its way, and what has been learnt about it so far."""

    def __init__(
        self, shared: Shared, snapshot: Snapshot, request: OriginalRequest, observer: Observer
    ) -> None:
        self._shared = shared
        self._snapshot = snapshot
        self._request = request
        self._observer = observer
        self._facts = request.facts
        self._matched = find_route(snapshot, request.host, self._facts)
        self._routed: Routed | None = None
        self._target: Target | None = None
        self._dispatch: Dispatch | None = None
        self._sent: Sent | None = None
        self._answered: Answered | None = None
        self._answer: Answer = NO_ANSWER
        self._status: int | None = None
        self._flags: tuple[Flag, ...] = ()
        self.began = shared.clock()
        self.record = Record()
        self._began_at = shared.wall_clock()
        self._override: str | None = None
        self._deadline: float | None = None
        self._progressed_at = 0.0
        self._is_counted = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether there are no more pieces."""
        return self._is_over

    async def pieces(self) -> list[Piece]:
        """The next pieces of the answer: what is there, waiting only if there is nothing."""
        begun = self._answered
        try:
            return await (self._more(begun) if begun else self._first())
        except Exception as error:  # noqa: BLE001 - fail closed: no defect of ours sends a request elsewhere
            report(error)
        if begun:
            self.close(Flag.LOCAL_RESET)
            return [End.BROKEN]
        self._status = local_replies.INTERNAL_ERROR.status
        self._finish()
        return self._local_pieces(local_replies.INTERNAL_ERROR, None)

    async def _first(self) -> list[Piece]:
        """The head of the answer, and what is there of its body."""
        answer = await self._try()
        self._progressed_at = self._shared.clock()
        if isinstance(answer, LocalReply):
            self._status = answer.status
            self._flags += answer.flags
            self._answer = Answer(len(answer.body.encode("utf-8", "surrogateescape")))
            changes = self._changes() if answer.is_changed_by_rules else None
            pieces = self._local_pieces(answer, changes)
            self._finish()
            return pieces
        self._answered = answer
        self._status = answer.response.status
        held = self._sent.held if self._sent else ()
        ready = answer.response.read_ready()
        if self._sent and self._sent.gate:
            self._sent.gate.follow(ready)
        start = b"".join((*held, ready))
        self.record.add(start, now=self._progressed_at)
        has_body = bool(start) or not answer.response.is_complete
        with_cookies = self._sent is None or not self._sent.is_foreign
        head = upstream_head(
            answer,
            self._changes(),
            wall_time=self._shared.wall_clock(),
            has_body=has_body,
            with_cookies=with_cookies,
        )
        return self._with_end([head, start] if start else [head], answer.response)

    def _local_pieces(self, reply: LocalReply, changes: Changes | None) -> list[Piece]:
        return local_pieces(reply, changes, wall_time=self._shared.wall_clock(), method=self._request.method)

    def close(self, why: Flag = Flag.DOWNSTREAM_CONNECTION_TERMINATION) -> None:
        """Stop here: the client has left, or it is said why. Nothing happens if the exchange is over."""
        if not self._is_over:
            self._flags = (*self._flags, why)
            self._finish()

    async def _try(self) -> LocalReply | Answered:
        if not is_well_formed(self._request):
            return local_replies.BAD_REQUEST
        if self._matched is None:
            return local_replies.NO_ROUTE
        route = self._matched.route
        if not isinstance(route.action, tuple):
            return redirects.reply(route.action, self._facts)
        routed = self._routed = choose_destination(
            self._snapshot, route.action, listener_port=self._request.port, rng=self._shared.rng
        )
        target = self._target = await self._choose_target(routed)
        if (reply := await self._inject_fault(route)) is not None:
            return reply
        if route.cors and (granted := cors.preflight(route.cors, self._facts)) is not None:
            return LocalReply(200, headers=granted, is_changed_by_rules=False)
        if target is None:
            return local_replies.NO_SUCH_TARGET
        return await self._send(self._matched, routed, target)

    async def _choose_target(self, routed: Routed) -> Target | None:
        """The destination's target or its fallback, before the first attempt and for all of them.

        Where a person has pinned the host, it is that target, or None if that is gone.
        """
        overrides = self._shared.overrides
        if overrides.pins and (key := overrides.pinned(self._request.host)):
            self._override = f"pinned to {name_of(key)}"
            return self._snapshot.target(key)
        target, fallback = routed.target, routed.fallback
        if target is None or fallback is None:
            return target
        here = await self._shared.discovery.endpoints(target)
        there = await self._shared.discovery.endpoints(fallback)
        self._shared.sweep()
        health = self._shared.health
        return choose_target(
            target, fallback, lambda place: health.is_healthy(place, here if place is target else there)
        )

    async def _inject_fault(self, route: Route) -> LocalReply | None:
        decision = faults.decide(route.fault, self._shared.rng)
        if decision.delay_s:
            await asyncio.sleep(decision.delay_s)
        reply = decision.reply()
        if reply is None:
            self._flags = decision.flags
        return reply

    async def _send(self, matched: Matched, routed: Routed, target: Target) -> LocalReply | Answered:
        route = matched.route
        if route.timeout_s is not None:
            self._deadline = self._shared.clock() + route.timeout_s
        dispatch = self._dispatch = Dispatch(
            self._shared,
            self._snapshot,
            self._request,
            self._facts,
            self._observer,
            Limits(route.retries, self._deadline, self.began),
        )
        if self._override:
            sent = await dispatch.send(matched, routed, target, is_pinned=True)
        elif route.rescue and not self._is_too_large(route.rescue):
            self._is_counted = True
            self._shared.budget.requests += 1
            sent = await dispatch.rescue(matched, routed, route.rescue)
        else:
            sent = await dispatch.send(matched, routed, target)
        self._sent, self._target = sent, sent.target or target
        self._flags += sent.flags
        return sent.answer

    def _is_too_large(self, policy: RescuePolicy) -> bool:
        return len(self._request.body) > policy.max_request_bytes

    async def _more(self, answer: Answered) -> list[Piece]:
        try:
            async with asyncio.timeout(self._time_left()):
                data = await answer.response.read()
        except TimeoutError:
            return self._cut_for_time(answer)
        except BodyBroken:
            self._flags += (Flag.UPSTREAM_CONNECTION_TERMINATION,)
            self._charge(answer, Outcome(503, local_origin=True))
            rest = answer.response.read_rest()
            self.record.add(rest, now=self._shared.clock())
            self._finish()
            return [rest, End.BROKEN] if rest else [End.BROKEN]
        now = self._shared.clock()
        self.record.add(data, now=now)
        if self._sent and self._sent.gate and self._sent.gate.follow(data):
            self._progressed_at = now
        return self._with_end([data] if data else [], answer.response)

    def _cut_for_time(self, answer: Answered) -> list[Piece]:
        """End an answer that has begun: the rule's time is up, which proves nothing, or it has stalled."""
        self._flags += (Flag.UPSTREAM_REQUEST_TIMEOUT,)
        if self._deadline is None or self._shared.clock() < self._deadline:
            self._charge(answer, Outcome(504, local_origin=True))
        self._finish()
        return [End.BROKEN]

    def _charge(self, answer: Answered, outcome: Outcome) -> None:
        if self._sent and self._sent.charge:
            self._sent.charge(answer.endpoint, outcome)

    def _with_end(self, pieces: list[Piece], response: Response) -> list[Piece]:
        if response.is_complete:
            pieces.append(End.COMPLETE)
            self._finish()
        return pieces

    def _time_left(self) -> float | None:
        """Until the rule's time is up, or a policy takes the silence for a stall."""
        moments = [] if self._deadline is None else [self._deadline]
        if self._sent and self._sent.stall_s is not None:
            moments.append(self._progressed_at + self._sent.stall_s)
        return max(0.0, min(moments) - self._shared.clock()) if moments else None

    def _changes(self) -> Changes | None:
        if self._matched is None:
            return None
        # Istio's chain has the fault filter before the one for CORS, which therefore sees no aborted request.
        is_aborted = Flag.FAULT_INJECTED in self._flags
        return Changes(
            self._matched,
            None if is_aborted else self._facts,
            self._routed.destination if self._routed else None,
            self._dispatch.set_cookie if self._dispatch else None,
            self._sent.marks if self._sent else (),
        )

    def _finish(self) -> None:
        """Let go of everything and say what happened, once and before the last pieces go out."""
        if self._is_over:
            return
        self._is_over = True
        if self._is_counted:
            self._shared.budget.requests -= 1
        if self._answered:
            self._answered.response.release()
        tell(self._tell, self._answered)
        if self._dispatch:
            self._dispatch.close()

    def _tell(self, answered: Answered | None) -> None:
        if answered:
            self._answer = self._told_of(answered)
        if self._dispatch and self._status is None:  # given up before there was an answer
            self._target = self._dispatch.last_target or self._target
        chosen = self._routed.target if self._routed else None
        event = Handled(
            printable(self._request.method),
            printable(self._request.host),
            self._matched.route.name if self._matched else "no route",
            str(self._target or "nowhere"),
            str(chosen) if self._target is not chosen and not self._override else None,
            self._dispatch.made if self._dispatch else (),
            self._status,
            local_replies.in_order(self._flags),
            self._shared.clock() - self.began,
            self._matched.route.source if self._matched else None,
            self._rescued(),
            self._request.id,
            self._received(),
            self._answer,
            self._override,
        )
        tell(self._observer.handled, event)
        tell(self._shared.on_event, event)

    def _received(self) -> Received:
        request = self._request
        model = (self._dispatch.bodies if self._dispatch else Bodies(request)).model
        return Received(
            self._began_at,
            request.scheme,
            printable(redact_query(request.path)),
            len(request.body),
            request.client,
            printable(model) if model else None,
            {n.lower(): printable(v) for n, v in request.headers if n.lower() in REPORTED_HEADERS},
        )

    def _told_of(self, answered: Answered) -> Answer:
        """What is known of the answer of an upstream, as far as it came."""
        record, header = self.record, answered.response.header
        figures = figures_of(
            header("content-type") or "",
            record.beginning,
            record.tail,
            content_encoding=header("content-encoding") or "identity",
        )
        first = None if record.first_at is None else record.first_at - self.began
        return Answer(record.size, first, answered.service_time_s, figures)

    def _rescued(self) -> Rescued | None:
        """What the rule's policy did; None if it has none, or nobody was to be asked."""
        policy = self._matched.route.rescue if self._matched else None
        if policy is None or self._dispatch is None or self._override:
            return None
        retried = next((v for n, v in self._request.headers if n.lower() == _CLIENT_RETRIES), "")
        return Rescued(
            policy.name,
            self._dispatch.reasons,
            self._dispatch.is_spent,
            self._is_too_large(policy),
            int(retried) if retried.isascii() and retried.isdecimal() and len(retried) < 4 else 0,
        )
