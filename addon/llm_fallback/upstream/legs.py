"""One leg of a rescue: the attempt at one target, up to the point where its answer is one, or is none."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from llm_fallback import local_replies
from llm_fallback.config.rescue import Hold, RescuePolicy
from llm_fallback.config.routes import Retries
from llm_fallback.config.snapshot import Target
from llm_fallback.local_replies import LocalReply
from llm_fallback.outlier import Endpoint, Outcome
from llm_fallback.rescue import failures
from llm_fallback.rescue.gate import AnswerGate, Verdict
from llm_fallback.rescue.retry_after import wait_s
from llm_fallback.rewriting import Outgoing
from llm_fallback.upstream.attempts import Answered, Attempts, Limits, Shared, Watcher
from llm_fallback.upstream.client import BodyBroken

_TIMEOUT = "first-token-timeout"
_WITH_RETRY_AFTER = frozenset({429, 503, 529})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target, and the request as it is for it."""

    target: Target
    outgoing: Callable[[], Outgoing]
    hash_key: int | None = None
    ignores_ejection: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """An answer that is let through: what has been held of it, and what follows the rest."""

    leg: "Leg"
    answered: Answered
    held: tuple[bytes, ...]
    gate: AnswerGate | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A leg without an answer: why, whether the policy covers that, and what the client gets otherwise."""

    leg: "Leg"
    reason: str
    is_covered: bool
    otherwise: LocalReply | Committed


class Leg:
    """The attempt at one target."""

    def __init__(
        self,
        shared: Shared,
        policy: RescuePolicy,
        candidate: Candidate,
        retries: Retries,
        watcher: Watcher,
        *,
        deadline: float,
    ) -> None:
        self.target = candidate.target
        self._shared = shared
        self._policy = policy
        self._candidate = candidate
        self._began = shared.clock()
        self._deadline = deadline
        self._watcher = watcher
        self._trial: Endpoint | None = None
        self._succeeded: bool | None = None
        self.attempts = Attempts(
            shared,
            candidate.target,
            Limits(self._retries(retries), deadline),
            self,
            hash_key=candidate.hash_key,
            is_out=self._is_out,
            judges_later=True,
        )

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._shared.clock() - self._began

    async def run(self) -> Committed | Lost:
        """Attempt, and read until the answer is one. Cancelling it ends the attempt, and proves nothing."""
        try:
            return await self._run()
        finally:
            self._end_trial(succeeded=self._succeeded)

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """Note which endpoint is on trial, and tell the watcher."""
        self._end_trial(succeeded=False)
        self._trial = endpoint
        self._shared.readmission.begin((target.key, endpoint))
        self._watcher.attempting(outgoing, target, endpoint)

    def _end_trial(self, *, succeeded: bool | None) -> None:
        if self._trial:
            self._shared.readmission.end((self.target.key, self._trial), succeeded=succeeded)
            self._trial = None

    async def _run(self) -> Committed | Lost:
        answer = await self.attempts.run(self._candidate.outgoing())
        if isinstance(answer, LocalReply):
            failure = self.attempts.failure
            if failure is None:
                return Lost(self, "no healthy endpoint", is_covered=True, otherwise=answer)
            return Lost(self, str(failure), failures.covers_failure(self._policy, failure), answer)
        try:
            return await self._judge(answer)
        except BaseException:
            answer.response.release()
            raise

    async def _judge(self, answer: Answered) -> Committed | Lost:
        status = answer.response.status
        if status >= 400:
            self._hold_off(answer)
            covered = failures.covers_status(self._policy, status)
            self._succeeded = False if covered else None
            return Lost(self, str(status), covered, Committed(self, answer, ()))
        if answer.response.header("content-encoding") not in (None, "identity"):
            return self._commit(answer, (), None)  # nobody here can read it
        gate = AnswerGate(
            answer.response.header("content-type") or "",
            self._policy.hold,
            failures.ignored_verdicts(self._policy),
        )
        return await self._read_until_known(answer, gate)

    async def _read_until_known(self, answer: Answered, gate: AnswerGate) -> Committed | Lost:
        held: list[bytes] = []
        verdict = Verdict.PENDING
        began = self._began
        piece = answer.response.read_ready()
        while True:
            if piece:
                held.append(piece)
                verdict = gate.feed(piece)
                if self._policy.hold is Hold.WHOLE_ANSWER and gate.has_progressed:
                    began = self._shared.clock()  # from the first token on it is the stall that is limited
            if verdict is Verdict.PENDING and answer.response.is_complete:
                verdict = gate.end(is_cut=False)
            if verdict is not Verdict.PENDING:
                break
            try:
                piece = await self._read(answer, began)
            except TimeoutError:
                return self._lost_in_silence(answer)
            except BodyBroken:
                held.append(answer.response.read_rest())
                verdict = gate.end(is_cut=True)
                if verdict is Verdict.GOOD:
                    break
                self.attempts.charge(answer.endpoint, Outcome(503, local_origin=True))
                return self._lost(answer, verdict, held)
        if verdict is Verdict.GOOD:
            return self._commit(answer, tuple(held), gate)
        self.attempts.charge(answer.endpoint, Outcome(500))
        return self._lost(answer, verdict, held)

    async def _read(self, answer: Answered, since: float) -> bytes:
        limits = self._policy.limits
        first = since == self._began
        limit = since + (limits.first_token_s if first else limits.stall_s)
        left = min(limit, self._deadline) - self._shared.clock()
        async with asyncio.timeout(max(0.0, left)):
            return await answer.response.read()

    def _commit(self, answer: Answered, held: tuple[bytes, ...], gate: AnswerGate | None) -> Committed:
        self.attempts.charge(answer.endpoint, Outcome(answer.response.status))
        self._succeeded = True
        return Committed(self, answer, held, gate)

    def _lost(self, answer: Answered, verdict: Verdict, held: list[bytes]) -> Lost:
        self._succeeded = False
        return Lost(self, str(verdict), is_covered=True, otherwise=Committed(self, answer, tuple(held)))

    def _lost_in_silence(self, answer: Answered) -> Lost:
        self.attempts.charge(answer.endpoint, Outcome(504, local_origin=True))
        answer.response.release()
        self._succeeded = False
        covered = _TIMEOUT in self._policy.failures
        return Lost(self, _TIMEOUT, covered, local_replies.REQUEST_TIMEOUT)

    def _hold_off(self, answer: Answered) -> None:
        """Leave an endpoint alone for as long as it asks for, within the policy's bound."""
        if answer.response.status not in _WITH_RETRY_AFTER or not self._policy.max_retry_after_s:
            return
        wait = wait_s(answer.response.header, wall_time=self._shared.wall_clock())
        if wait:
            seconds = min(wait, self._policy.max_retry_after_s)
            now = self._shared.clock()
            if event := self._shared.health.hold_off(self.target, answer.endpoint, seconds=seconds, now=now):
                self._shared.on_event(event)
                self._shared.sweep()

    def _retries(self, retries: Retries) -> Retries:
        """The rule's retries as far as there are endpoints that have not been tried; then the next target."""
        headers = self._policy.limits.response_headers_s
        per_try = min(headers, retries.per_try_timeout_s or headers)
        others = max(0, len(self.target.endpoints) - 1)
        attempts = retries.attempts if self.target.per_address else min(retries.attempts, others)
        return replace(retries, attempts=attempts, per_try_timeout_s=per_try, avoid_tried=True)

    def _is_out(self, endpoint: Endpoint) -> bool:
        shared, place = self._shared, (self.target.key, endpoint)
        if not self._candidate.ignores_ejection and shared.health.is_ejected(self.target, endpoint):
            return True
        return not shared.readmission.admits(
            place,
            probation=self._policy.probation,
            slow_start_s=self._policy.slow_start_s,
            now=shared.clock(),
            rng=shared.rng,
        )
