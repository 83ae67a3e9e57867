"""Saving the request that fails: one target after another, or side by side, until one has an answer.

    leg -> committed -> the client gets it
     |---> lost, covered by the policy, and within attempts, deadline and budget -> the next target
     |---> lost otherwise -> the client gets what there is

With hedging the next leg starts before the one before has ended; the first good answer cancels the others.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from llm_fallback import local_replies
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.snapshot import Target
from llm_fallback.events import Attempted
from llm_fallback.local_replies import Flag, LocalReply
from llm_fallback.outlier import Endpoint
from llm_fallback.resources.llmfallbackpolicy import AllEjected
from llm_fallback.upstream.attempts import Limits
from llm_fallback.upstream.circuit_breakers import Resource
from llm_fallback.upstream.legs import Candidate, Committed, Leg, Lost
from llm_fallback.upstream.shared import Shared, Watcher


class Rescue:
    """The legs of one request; `limits` has its rule's retries, and until when an answer must be there."""

    def __init__(
        self,
        shared: Shared,
        policy: RescuePolicy,
        candidates: Iterable[Candidate],
        limits: Limits,
        watcher: Watcher,
    ) -> None:
        self.reasons: list[str] = []
        self.is_spent = False
        self._shared = shared
        self._policy = policy
        self._left = deque(candidates)
        self._limits = limits
        self._watcher = watcher
        self._legs: list[Leg] = []
        self._running: dict[asyncio.Task[Committed | Lost], Leg] = {}
        self._allowance = Resource(policy.attempts)
        self._paid: set[Leg] = set()
        self._lost: Lost | None = None
        self._skipped: list[tuple[Candidate, Sequence[Endpoint]]] = []
        self._has_given_up = False
        self._has_tried_soonest = False
        self._hedges = policy.hedging is not None

    @property
    def last_target(self) -> Target | None:
        """The target whose failure is the answer; while others are asked, the one that was asked last."""
        if self._lost and not self._running:
            return self._lost.leg.target
        return next((leg.target for leg in reversed(self._legs) if leg.begun), None)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is to be said of the retries at the target whose failure is the answer."""
        return self._lost.leg.attempts.flags if self._lost else ()

    @property
    def begun(self) -> int:
        """How many attempts there have been."""
        return sum(leg.begun for leg in self._legs)

    @property
    def made(self) -> list[Attempted]:
        """All attempts of all legs, in the order of the legs."""
        return [attempt for leg in self._legs for attempt in leg.made]

    async def run(self) -> Committed | LocalReply:
        """The answer to pass on: the first good one, or the last failure."""
        answer: Committed | LocalReply | None = None
        try:
            answer = await self._run()
            self._tell_whose(answer)
            return answer
        finally:
            self._let_go_of_all_but(answer)

    def _tell_whose(self, answer: Committed | LocalReply) -> None:
        """Tell the watcher of the attempt that the answer is of, if another one began after it."""
        final = answer if isinstance(answer, Committed) else self._lost
        if final and self._policy.hedging and len(self._legs) > 1:
            final.leg.tell_again()

    async def _run(self) -> Committed | LocalReply:
        while True:
            if not self._running and not await self._start_next():
                return self._nobody_left()
            done, _ = await asyncio.wait(
                self._running, timeout=self._hedge_in(), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                self._hedges = await self._start_next()
            for task in [task for task in self._running if task in done]:
                result = task.result()
                if isinstance(result, Committed):
                    return result
                self._give_back(self._running.pop(task))
                await self._take_loss(result)

    def _nobody_left(self) -> Committed | LocalReply:
        self.is_spent = not self._has_given_up
        if self._lost:
            return self._lost.otherwise
        back = [moment for moment, _, _ in self._returns(held_too=True)]
        wait = math.ceil(min(back) - self._shared.clock()) if back else 0
        headers = (("retry-after", str(wait)),) if wait > 0 else ()
        return replace(local_replies.NO_HEALTHY_UPSTREAM, headers=headers)

    async def _take_loss(self, lost: Lost) -> None:
        if lost.is_covered or self.reasons:  # or else the answer is simply passed on
            self.reasons.append(f"{lost.leg.target}: {lost.reason}")
        if not lost.leg.begun:  # nobody was asked: this neither counts nor hides a failure
            self._skipped.append((lost.leg.candidate, await self._endpoints(lost.leg.target)))
            return
        if self._lost:
            _let_go_of(self._lost.otherwise)
        self._lost = lost
        if not self._is_rescued(lost):
            self._left.clear()
        elif self._left and not self._running and self._policy.backoff_s:
            await asyncio.sleep(self._policy.backoff_s)

    def _is_rescued(self, lost: Lost) -> bool:
        """Whether the policy covers the failure, and there is time for another attempt."""
        slow = self._policy.unless_slower_than_s
        is_too_slow = slow is not None and lost.leg.seconds > slow
        self._has_given_up = self._has_given_up or not lost.is_covered or is_too_slow
        return not self._has_given_up and self._time_left() > self._policy.backoff_s

    async def _start_next(self) -> bool:
        """Begin the next leg that can be; False if there is none, or no more may be."""
        if not self._allowance.take():
            return False
        candidate = await self._next_candidate()
        is_free = not (self._running or self.begun)
        if candidate is None or not (is_free or self._is_affordable(candidate)):
            self._allowance.give_back()
            return False
        leg = Leg(self._shared, self._policy, candidate, self._limits, self._watcher, self._allowance)
        if not is_free:
            self._shared.budget.take()
            self._paid.add(leg)
        self._legs.append(leg)
        self._running[asyncio.create_task(leg.run())] = leg
        return True

    def _is_affordable(self, candidate: Candidate) -> bool:
        """Whether the budget has room for another target; if not, this one is still to be asked."""
        if self._shared.budget.allows(self._policy.budget):
            return True
        self.reasons.append("no budget")
        self._left.appendleft(candidate)
        return False

    async def _next_candidate(self) -> Candidate | None:
        """The next one with an endpoint in rotation; if nobody has one, who comes back first, if wished."""
        while self._left:
            candidate = self._left.popleft()
            endpoints = await self._endpoints(candidate.target)
            self._shared.sweep()
            if self._shared.health.is_healthy(candidate.target, endpoints):
                return replace(candidate, endpoints=len(endpoints))
            self.reasons.append(f"{candidate.target}: {'ejected' if endpoints else 'no endpoint'}")
            self._skipped.append((candidate, endpoints))
        return None if self.begun or self._running else self._soonest()

    def _soonest(self) -> Candidate | None:
        """Of those who were not asked, once, who is back first; never who has asked to be left alone."""
        back = self._returns(held_too=False)
        if self._policy.all_ejected is AllEjected.FAIL or self._has_tried_soonest or not back:
            return None
        self._has_tried_soonest = True
        _, candidate, endpoint = min(back, key=lambda each: each[0])
        return replace(candidate, only=endpoint)

    def _returns(self, *, held_too: bool) -> list[tuple[float, Candidate, Endpoint]]:
        """When each endpoint of those who were not asked is back: those on probation are, in a way."""
        health = self._shared.health
        found: list[tuple[float, Candidate, Endpoint]] = []
        for candidate, endpoints in self._skipped:
            for endpoint in endpoints:
                held = health.left_alone_until(candidate.target, endpoint) or 0.0
                if (held_too or not held) and held < math.inf:
                    moment = max(held, health.returns_at(candidate.target, endpoint) or 0.0)
                    found.append((moment, candidate, endpoint))
        return found

    async def _endpoints(self, target: Target) -> Sequence[Endpoint]:
        """The target's endpoints; none if nobody could say in time."""
        try:
            async with asyncio.timeout(self._time_left()):
                return await self._shared.discovery.endpoints(target)
        except TimeoutError:
            return ()

    def _hedge_in(self) -> float | None:
        if self._policy.hedging is None or not self._hedges or not self._left:
            return None
        last = self._legs[-1]
        if last not in self._running.values():
            return 0.0
        return max(0.0, self._policy.hedging.delay_s - last.seconds)

    def _time_left(self) -> float:
        deadline = self._limits.deadline
        return math.inf if deadline is None else max(0.0, deadline - self._shared.clock())

    def _give_back(self, leg: Leg) -> None:
        if leg in self._paid:
            self._paid.remove(leg)
            self._shared.budget.give_back()

    def _let_go_of_all_but(self, answer: Committed | LocalReply | None) -> None:
        """Cancel what still runs, and close what has come and is not passed on."""
        others: list[Committed | LocalReply] = [self._lost.otherwise] if self._lost else []
        for task, leg in self._running.items():
            self._give_back(leg)
            if task.done() and not task.cancelled() and task.exception() is None:
                result = task.result()
                others.append(result if isinstance(result, Committed) else result.otherwise)
            task.cancel()
        for other in others:
            if other is not answer:
                _let_go_of(other)


def _let_go_of(answer: Committed | LocalReply) -> None:
    if isinstance(answer, Committed):
        answer.discard()
