"""The attempts of one request at the target that was chosen for it: endpoints, retries, time limits.

Every attempt is reported to the detector of its endpoint. What never is: a client that leaves, an overflow,
and the want of a healthy endpoint.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from llm_fallback import local_replies, retry
from llm_fallback.config.routes import Retries
from llm_fallback.config.snapshot import Target
from llm_fallback.events import PER_TRY_TIMEOUT, Attempted
from llm_fallback.figures import figures_of
from llm_fallback.headers import Headers
from llm_fallback.local_replies import Flag, LocalReply
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import Endpoint, HostMonitor, Outcome
from llm_fallback.overrides import Fault
from llm_fallback.retry import Failure
from llm_fallback.selection import choose_endpoint
from llm_fallback.upstream.circuit_breakers import Resource
from llm_fallback.upstream.client import AttemptFailed, Response
from llm_fallback.upstream.injection import Connected, meet
from llm_fallback.upstream.shared import LostAttempt, Shared, Watcher


@dataclass(frozen=True, slots=True)
class Answered:
    """An attempt that has response headers: the `number` of those that have been made."""

    response: Response
    endpoint: Endpoint
    service_time_s: float
    outgoing: Outgoing
    number: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the attempts: the retries, the moment at which all must have response headers.

    `began_at` is when the request began, from which attempts are told.
    """

    retries: Retries
    deadline: float | None = None
    began_at: float = 0.0


_MAX_KEPT_BYTES = 1024 * 1024

type IsOut = Callable[[Endpoint], bool]
type Proves = Callable[[Answered], Outcome | None]


def _as_the_mesh(answered: Answered) -> Outcome:
    return Outcome(answered.response.status)


class Attempts:
    """The attempts at one target, and what has come of them so far.

    `is_out` says which endpoints are not asked, in place of the detector and of panic. `proves` says what the
    head of an answer proves of its endpoint; None: whoever reads the answer will know, and charge it.
    `allowance` bounds them together with others: one is taken for the first attempt, and given back if there
    is nobody to ask.
    """

    def __init__(  # noqa: PLR0913 - what shapes the attempts at one target
        self,
        shared: Shared,
        target: Target,
        limits: Limits,
        watcher: Watcher,
        *,
        hash_key: int | None = None,
        is_out: IsOut | None = None,
        proves: Proves = _as_the_mesh,
        allowance: Resource | None = None,
    ) -> None:
        self.flags: tuple[Flag, ...] = ()
        self.failure: Failure | None = None
        self._is_out = is_out
        self._panic_threshold = 0 if is_out else target.panic_threshold
        self._proves = proves
        self._shared = shared
        self._target = target
        self._policy = limits.retries
        self._deadline = limits.deadline
        self._began_at = limits.began_at
        self._watcher = watcher
        self._hash_key = hash_key
        self._allowance = allowance or Resource(None)
        self._made: list[Attempted] = []
        self._under_way: Attempted | None = None
        self._monitors: dict[Endpoint, HostMonitor | None] = {}
        self._retry: Resource | None = None

    @property
    def made(self) -> list[Attempted]:
        """The attempts; one that is under way has been given up if anybody asks."""
        if self._under_way is None:
            return self._made
        took = self._shared.clock() - self._began_at - self._under_way.began_s
        return [*self._made, replace(self._under_way, duration_s=took, lost_after_s=took)]

    async def run(self, outgoing: Outgoing) -> LocalReply | Answered:
        """Try until there is an answer to pass on, or none to be had."""
        try:
            return await self._run(outgoing)
        finally:
            self._let_go_of_retry()

    async def _run(self, outgoing: Outgoing) -> LocalReply | Answered:
        tried: list[Endpoint] = []
        while True:
            endpoint = await self._choose(tried)
            if endpoint is None:
                self._allowance.give_back()
                self._made.append(Attempted(str(self._target), None, "no healthy endpoint", 0.0))
                return local_replies.NO_HEALTHY_UPSTREAM
            tried.append(endpoint)
            result = await self._attempt(endpoint, outgoing.for_attempt(len(tried), self._time_for_a_try()))
            if not self._goes_on(result, retries_done=len(tried) - 1, body_size=len(outgoing.body)):
                break
            if isinstance(result, Answered):
                self.discard(result)
            if not await self._back_off(len(tried)):
                return local_replies.REQUEST_TIMEOUT
        if isinstance(result, Answered):
            return result
        self.failure = result
        return local_replies.failed(result, retries_done=len(tried) - 1)

    def discard(self, answered: Answered, held: Sequence[bytes] = ()) -> None:
        """Let go of an answer that nobody gets; `held` is what has been read of it."""
        response = answered.response
        body = b"".join((*held, response.read_ready()))[:_MAX_KEPT_BYTES]
        response.release()
        figures = figures_of(
            response.header("content-type") or "",
            body,
            content_encoding=response.header("content-encoding") or "identity",
        )
        self._made[answered.number] = replace(self._made[answered.number], figures=figures)
        self._lose(answered.number, answered.outgoing, answered.endpoint, response.headers, body)

    def _lose(
        self,
        number: int,
        outgoing: Outgoing,
        endpoint: Endpoint,
        headers: Headers = (),
        body: bytes = b"",
    ) -> None:
        made = self._made[number]
        after = self._shared.clock() - self._began_at - made.began_s
        lost = self._made[number] = replace(made, lost_after_s=after)
        self._watcher.lost(LostAttempt(lost, outgoing, self._target, endpoint, headers, body))

    def charge(self, endpoint: Endpoint, outcome: Outcome) -> None:
        """Count the outcome for the endpoint, and say so if it is ejected for it."""
        shared = self._shared
        ejected = shared.health.record(
            self._target,
            endpoint,
            outcome,
            total=shared.discovery.count(self._target),
            now=shared.clock(),
            monitor=self._monitors.get(endpoint),
        )
        if ejected:
            shared.on_event(ejected)
            shared.sweep()

    def _is_ejected(self, endpoint: Endpoint) -> bool:
        return self._shared.health.is_ejected(self._target, endpoint)

    async def _choose(self, tried: list[Endpoint]) -> Endpoint | None:
        shared, target = self._shared, self._target
        endpoints: Sequence[Endpoint] = await shared.discovery.endpoints(target)
        shared.sweep()
        if self._panic_threshold:
            endpoints = shared.health.without_by_hand(target, endpoints)
        numbers = count()
        return choose_endpoint(
            endpoints,
            self._is_out or self._is_ejected,
            lambda candidates: shared.balancer(target).pick(
                candidates,
                weight=lambda endpoint: shared.discovery.weight(target, endpoint),
                active=lambda endpoint: shared.client.active(target, endpoint),
                hash_key=self._hash_key,
                now=shared.clock(),
                rng=shared.rng,
                number=next(numbers),
            ),
            panic_threshold=self._panic_threshold,
            avoid=tried if self._policy.avoid_tried else (),
        )

    async def _attempt(self, endpoint: Endpoint, outgoing: Outgoing) -> Failure | Answered:
        """One upstream try, up to the response headers."""
        began = self._shared.clock()
        self._monitors[endpoint] = self._shared.health.monitor(self._target, endpoint)
        self._watcher.attempting(outgoing, self._target, endpoint)
        struck = self._strike(endpoint) if self._shared.overrides.faults else None
        mark = struck.mark if struck else ""
        begun = self._under_way = Attempted(
            str(self._target),
            str(endpoint),
            f"cancelled{mark}",
            0.0,
            began_s=began - self._began_at,
            model=outgoing.model,
        )
        try:
            response = await self._send(endpoint, outgoing, struck)
        except AttemptFailed as failed:
            result, word = f"{failed.failure} ({failed}){mark}", self._word(failed.failure)
            number = self._note(begun, began, result=result, failure=word)
            self._charge_failure(endpoint, failed.failure)
            self._lose(number, outgoing, endpoint)
            return failed.failure
        except BaseException:  # given up, or a defect
            took = self._shared.clock() - began
            self._note(begun, began, lost_after_s=took)
            raise
        number = self._note(begun, began, result=f"{response.status}{mark}", status=response.status)
        took = self._made[number].duration_s
        answered = Answered(response, endpoint, took, outgoing, number)
        if (outcome := self._proves(answered)) is not None:
            self.charge(endpoint, outcome)
        return answered

    def _note(self, begun: Attempted, began: float, **what_came: Any) -> int:
        """Add to what has been made, what came of it and how long it took; returns its number."""
        self._under_way = None
        self._made.append(replace(begun, duration_s=self._shared.clock() - began, **what_came))
        return len(self._made) - 1

    def _strike(self, endpoint: Endpoint) -> Fault | None:
        """The fault that a person has injected for the attempt, if there is one."""
        injected = self._shared.overrides.strike(self._target.key, endpoint, self._shared.rng)
        return injected.fault if injected else None

    def _reach(
        self, endpoint: Endpoint, outgoing: Outgoing, struck: Fault | None, connected: Connected
    ) -> Awaitable[Response]:
        """The provider's answer, or what stands for it."""
        if struck is None:
            return self._shared.client.send(self._target, endpoint, outgoing, connected)
        return meet(
            struck, outgoing, connected, partial(self._shared.client.send, self._target, endpoint, outgoing)
        )

    async def _send(self, endpoint: Endpoint, outgoing: Outgoing, struck: Fault | None) -> Response:
        """Send within the time that is left; the time of one try begins when there is a connection for it."""
        if self._deadline is None and self._policy.per_try_timeout_s is None:
            return await self._reach(endpoint, outgoing, struck, lambda: self._connected(endpoint))
        timer = asyncio.timeout(self._time_left())
        is_connected = False

        def connected() -> None:
            nonlocal is_connected
            is_connected = True
            self._connected(endpoint)
            if (left := self._time_for_a_try()) is not None:
                timer.reschedule(asyncio.get_running_loop().time() + left)

        try:
            async with timer:
                return await self._reach(endpoint, outgoing, struck, connected)
        except TimeoutError:
            if is_connected:
                raise AttemptFailed(Failure.TIMEOUT, "no response headers in time") from None
            raise AttemptFailed(Failure.TIMEOUT_CONNECTING, "no connection in time") from None

    def _connected(self, endpoint: Endpoint) -> None:
        policy = self._target.outlier
        if policy and policy.split_local_origin:  # or else a connection proves nothing
            self.charge(endpoint, Outcome(200, local_origin=True))

    def _word(self, failure: Failure) -> str:
        """The failure as events have it, which tell whose time was up."""
        return PER_TRY_TIMEOUT if failure is Failure.TIMEOUT and not self._is_late() else failure.value

    def _charge_failure(self, endpoint: Endpoint, failure: Failure) -> None:
        if failure in (Failure.OVERFLOW, Failure.TIMEOUT_CONNECTING):
            return
        self.charge(endpoint, Outcome(504 if failure is Failure.TIMEOUT else 503, local_origin=True))

    def _goes_on(self, result: Failure | Answered, *, retries_done: int, body_size: int) -> bool:
        """Whether another attempt follows; if only a limit forbids it, that is flagged."""
        policy = self._policy
        self._let_go_of_retry()
        if isinstance(result, Failure):
            covered = retry.retries_failure(policy, result)
        else:
            response = result.response
            covered = retry.retries_answer(policy, response.status, response.header)
        if not covered or self._is_late() or body_size > retry.MAX_REPLAY_BYTES:
            return False
        if retries_done >= policy.attempts or not self._allowance.take():
            self.flags = (Flag.UPSTREAM_RETRY_LIMIT_EXCEEDED,) if policy.attempts else ()
            return False
        retries = self._shared.client.retries(self._target)
        if not retries.take():
            self._allowance.give_back()
            self.flags = (Flag.UPSTREAM_OVERFLOW,)
            return False
        self._retry = retries
        return True

    def _let_go_of_retry(self) -> None:
        """A retry counts among the target's until it is decided what follows it."""
        if self._retry:
            self._retry.give_back()
            self._retry = None

    async def _back_off(self, retry_number: int) -> bool:
        """Wait before a retry; False if time is up before that."""
        wait = retry.backoff_s(self._policy, retry_number, self._shared.rng)
        left = self._time_left()
        await asyncio.sleep(wait if left is None else min(wait, left))
        return not self._is_late()

    def _time_for_a_try(self) -> float | None:
        return retry.try_timeout_s(self._policy, self._time_left())

    def _time_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._shared.clock())

    def _is_late(self) -> bool:
        return self._time_left() == 0.0
