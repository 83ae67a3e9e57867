"""Saving the request that fails: one target after another, or side by side, until one has an answer.

    leg -> committed -> the client gets it
     |---> lost, covered by the policy, and within attempts, deadline and budget -> the next target
     |---> lost otherwise -> the client gets what there is

With hedging the next leg starts before the one before has ended; the first good answer cancels the others.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from llm_fallback import local_replies
from llm_fallback.config.rescue import AllEjected, RescuePolicy
from llm_fallback.config.routes import Retries
from llm_fallback.config.snapshot import Target
from llm_fallback.events import Attempted
from llm_fallback.local_replies import LocalReply
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.attempts import Shared, Watcher
from llm_fallback.upstream.legs import Candidate, Committed, Leg, Lost


class Rescue:
    """The legs of one request."""

    def __init__(
        self,
        shared: Shared,
        policy: RescuePolicy,
        candidates: Iterable[Candidate],
        retries: Retries,
        watcher: Watcher,
        *,
        deadline: float,
    ) -> None:
        self.reasons: list[str] = []
        self.is_spent = False
        self._shared = shared
        self._policy = policy
        self._left = deque(candidates)
        self._retries = retries
        self._watcher = watcher
        self._deadline = deadline
        self._legs: list[Leg] = []
        self._running: dict[asyncio.Task[Committed | Lost], Leg] = {}
        self._taken = 0
        self._lost: Lost | None = None
        self._ejected: list[tuple[Candidate, Sequence[Endpoint]]] = []

    @property
    def last_target(self) -> Target | None:
        """The target that was asked last."""
        return self._legs[-1].target if self._legs else None

    @property
    def made(self) -> list[Attempted]:
        """All attempts of all legs, in the order of the legs."""
        return [attempt for leg in self._legs for attempt in leg.attempts.made]

    async def run(self) -> Committed | LocalReply:
        """The answer to pass on: the first good one, or the last failure."""
        answer: Committed | LocalReply | None = None
        try:
            answer = await self._run()
            return answer
        finally:
            self._let_go_of_all_but(answer)

    async def _run(self) -> Committed | LocalReply:
        while True:
            if not self._running and not await self._start_next():
                self.is_spent = True
                return self._lost.otherwise if self._lost else local_replies.NO_HEALTHY_UPSTREAM
            done, _ = await asyncio.wait(
                self._running, timeout=self._hedge_in(), return_when=asyncio.FIRST_COMPLETED
            )
            if not done and not await self._start_next():
                self._left.clear()  # nobody to hedge with
            for task in done:
                result = task.result()
                if isinstance(result, Committed):
                    return result
                del self._running[task]
                await self._take_loss(result)

    async def _take_loss(self, lost: Lost) -> None:
        if self._lost:
            _release(self._lost.otherwise)
        self._lost = lost
        self.reasons.append(f"{lost.leg.target}: {lost.reason}")
        if not self._is_rescued(lost):
            self._left.clear()
        elif self._left and not self._running and self._policy.backoff_s:
            await asyncio.sleep(self._policy.backoff_s)

    def _is_rescued(self, lost: Lost) -> bool:
        """Whether the policy covers the failure, and there is time for another attempt."""
        slow = self._policy.unless_slower_than_s
        is_too_slow = slow is not None and lost.leg.seconds > slow
        return lost.is_covered and not is_too_slow and self._shared.clock() < self._deadline

    async def _start_next(self) -> bool:
        """Begin the next leg that can be; False if there is none, or no more may be."""
        if sum(map(_counts, self._legs)) >= self._policy.attempts:
            return False
        candidate = await self._next_candidate()
        if candidate is None or (self._legs and not self._shared.budget.take(self._policy.budget)):
            return False
        self._taken += bool(self._legs)
        leg = Leg(
            self._shared, self._policy, candidate, self._retries, self._watcher, deadline=self._deadline
        )
        self._legs.append(leg)
        self._running[asyncio.create_task(leg.run())] = leg
        return True

    async def _next_candidate(self) -> Candidate | None:
        """The next one with an endpoint in rotation; if nobody has one, who comes back first, if wished."""
        while self._left:
            candidate = self._left.popleft()
            endpoints = await self._shared.discovery.endpoints(candidate.target)
            self._shared.sweep()
            if self._shared.health.is_healthy(candidate.target, endpoints):
                return candidate
            self.reasons.append(f"{candidate.target}: ejected")
            self._ejected.append((candidate, endpoints))
        if self._legs or self._policy.all_ejected is AllEjected.FAIL:
            return None
        health = self._shared.health
        back = [
            (moment, number)
            for number, (candidate, endpoints) in enumerate(self._ejected)
            for endpoint in endpoints
            if (moment := health.returns_at(candidate.target, endpoint)) is not None
        ]
        return replace(self._ejected[min(back)[1]][0], ignores_ejection=True) if back else None

    def _hedge_in(self) -> float | None:
        if self._policy.hedging is None or not self._left:
            return None
        return max(0.0, self._policy.hedging.delay_s - self._legs[-1].seconds)

    def _let_go_of_all_but(self, answer: Committed | LocalReply | None) -> None:
        """Cancel what still runs, and close what has come and is not passed on."""
        others: list[Committed | LocalReply] = [self._lost.otherwise] if self._lost else []
        for task in self._running:
            if task.done() and not task.cancelled() and task.exception() is None:
                result = task.result()
                others.append(result if isinstance(result, Committed) else result.otherwise)
            task.cancel()
        for other in others:
            if other is not answer:
                _release(other)
        for _ in range(self._taken):
            self._shared.budget.give_back()


def _counts(leg: Leg) -> int:
    return max(1, len(leg.attempts.made))


def _release(answer: Committed | LocalReply) -> None:
    if isinstance(answer, Committed):
        answer.answered.response.release()
