"""One leg of a rescue: the attempt at one target, up to the point where its answer is one, or is none."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from llm_fallback import local_replies
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.snapshot import Target
from llm_fallback.echoes import Echoes
from llm_fallback.events import Attempted
from llm_fallback.local_replies import LocalReply
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import Endpoint, Outcome
from llm_fallback.rescue import failures
from llm_fallback.rescue.gate import AnswerGate, Verdict
from llm_fallback.rescue.readmission import Trial
from llm_fallback.rescue.retries import asks_for_stream, retries_at
from llm_fallback.rescue.retry_after import wait_s
from llm_fallback.retry import Failure
from llm_fallback.upstream.attempts import Answered, Attempts, Limits
from llm_fallback.upstream.circuit_breakers import Resource
from llm_fallback.upstream.client import BodyBroken
from llm_fallback.upstream.shared import LostAttempt, Shared, Watcher

_NOT_ADMITTED = "not admitted"
_NO_ENDPOINT = "no healthy endpoint"
_DEADLINE = "deadline"
_WITHOUT_BODY = frozenset({204, 205})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target, how many endpoints it has, and the request as it is for it.

    With `only`, this endpoint is asked whether it is in rotation or not. `set_cookie` is for its answer.
    """

    target: Target
    outgoing: Callable[[], Outgoing]
    hash_key: int | None = None
    set_cookie: str | None = None
    only: Endpoint | None = None
    endpoints: int = 1


@dataclass(frozen=True, slots=True)
class Committed:
    """An answer that is let through: what has been held of it, and what follows the rest."""

    leg: "Leg"
    answered: Answered
    held: tuple[bytes, ...]
    gate: AnswerGate

    def discard(self) -> None:
        """Let go of it: nobody gets it after all."""
        self.leg.attempts.discard(self.answered, self.held)


@dataclass(frozen=True, slots=True)
class Lost:
    """A leg without an answer: why, whether the policy covers that, and what the client gets otherwise."""

    leg: "Leg"
    reason: str
    is_covered: bool
    otherwise: LocalReply | Committed


class Leg:
    """The attempt at one target, with the rule's retries at its other endpoints.

    `allowance` bounds the attempts of all legs; one of them, which this leg begins with, is taken already.
    """

    def __init__(
        self,
        shared: Shared,
        policy: RescuePolicy,
        candidate: Candidate,
        limits: Limits,
        watcher: Watcher,
        allowance: Resource,
    ) -> None:
        self.candidate = candidate
        self.target = candidate.target
        self.begun = 0
        self._shared = shared
        self._policy = policy
        self._outgoing = candidate.outgoing()
        self._deadline = limits.deadline
        self._limits = limits
        self._watcher = watcher
        self._began = self._attempt_began = shared.clock()
        self._endpoint: Endpoint | None = None
        self._sent: Outgoing | None = None
        self._trial: Trial | None = None
        self._succeeded: bool | None = None
        retries = retries_at(candidate.endpoints, limits.retries, policy, self._outgoing.body)
        first_token_s = policy.limits.first_token_s if asks_for_stream(self._outgoing.body) else None
        self._first_token_s = first_token_s
        self._awaits_token = first_token_s is not None and first_token_s == retries.per_try_timeout_s
        self.attempts = Attempts(
            shared,
            candidate.target,
            replace(limits, retries=retries),
            self,
            allowance=allowance,
            hash_key=candidate.hash_key,
            is_out=self._is_out,
            proves=self._proves,
        )

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._shared.clock() - self._began

    @property
    def made(self) -> list[Attempted]:
        """Its attempts."""
        return self.attempts.made

    async def run(self) -> Committed | Lost:
        """Attempt, and read until the answer is one. Cancelling it ends the attempt, and proves nothing."""
        try:
            return await self._run()
        finally:
            self._end_trial(succeeded=self._succeeded)

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """Note which endpoint is on trial, and tell the watcher."""
        self._end_trial(succeeded=False)
        self.begun += 1
        self._endpoint, self._sent, self._attempt_began = endpoint, outgoing, self._shared.clock()
        self._trial = self._shared.readmission.begin((target.key, endpoint))
        self._watcher.attempting(outgoing, target, endpoint)

    def lost(self, attempt: LostAttempt) -> None:
        """Tell the watcher."""
        self._watcher.lost(attempt)

    def tell_again(self) -> None:
        """Tell the watcher of the last attempt once more, if others have made theirs since."""
        if self._sent and self._endpoint:
            self._watcher.attempting(self._sent, self.target, self._endpoint)

    def _proves(self, answer: Answered) -> Outcome | None:
        """What an error status proves, and asks for; an answer that is none has to be read first."""
        status = answer.response.status
        if status < 400:
            return None
        is_held = self._hold_off(answer)
        if is_held and status < 500:
            # A failure to no mesh; and it is left alone for as long as it says itself.
            return Outcome(status)
        return failures.proved_by(status, self._policy, self.target.outlier)

    def _end_trial(self, *, succeeded: bool | None) -> None:
        if self._trial:
            self._trial.end(succeeded=succeeded)
            self._trial = None

    async def _run(self) -> Committed | Lost:
        answer = await self.attempts.run(self._outgoing)
        if isinstance(answer, LocalReply):
            return self._lost_without_headers(answer)
        held: list[bytes] = []
        try:
            return await self._judge(answer, held)
        except BaseException:
            self.attempts.discard(answer, held)
            raise

    def _lost_without_headers(self, reply: LocalReply) -> Lost:
        failure = self.attempts.failure
        if failure is None:
            reason = _NO_ENDPOINT if self.begun else _NOT_ADMITTED
            return Lost(self, _DEADLINE if self._is_late() else reason, is_covered=True, otherwise=reply)
        self._succeeded = False
        covered = failures.covers_failure(self._policy, failure)
        reason = failures.NO_HEADERS if failure is Failure.TIMEOUT else str(failure)
        if self._is_late():
            reason = _DEADLINE
        elif failure is Failure.TIMEOUT and self._awaits_token:
            reason = failures.NO_BEGINNING
            covered = covered or reason in self._policy.failures
        return Lost(self, reason, covered, reply)

    async def _judge(self, answer: Answered, held: list[bytes]) -> Committed | Lost:
        """What the answer is; what is read of it to know that is `held`."""
        status = answer.response.status
        if status >= 400:
            covered = failures.covers_status(self._policy, status)
            self._succeeded = False if covered else None
            return Lost(self, str(status), covered, Committed(self, answer, (), self._gate("")))
        if status >= 300 or status in _WITHOUT_BODY or self._outgoing.method == "HEAD":
            return self._commit(answer, held, self._gate(""))
        # Only what is asked for by POST is generated; and nobody here can read what is encoded.
        is_readable = self._outgoing.method == "POST" and answer.response.header("content-encoding") in (
            None,
            "identity",
        )
        media = answer.response.header("content-type") if is_readable else None
        return await self._read_until_known(answer, held, self._gate(media or ""))

    def _gate(self, media: str) -> AnswerGate:
        return AnswerGate(media, self._policy.hold, failures.ignored_verdicts(self._policy))

    async def _read_until_known(
        self, answer: Answered, held: list[bytes], gate: AnswerGate
    ) -> Committed | Lost:
        limits, verdict = self._policy.limits, Verdict.PENDING
        since = self._shared.clock() if self._first_token_s is None else self._attempt_began
        limit = since + limits.first_token_s
        has_begun = False
        piece = answer.response.read_ready()
        while True:
            if piece:
                held.append(piece)
                verdict = gate.feed(piece)
                if gate.has_progressed:
                    has_begun, limit = True, self._shared.clock() + limits.stall_s
            if verdict is Verdict.PENDING and answer.response.is_complete:
                verdict = gate.end(is_cut=False)
            if verdict is Verdict.GOOD:
                return self._commit(answer, held, gate)
            if verdict is not Verdict.PENDING:
                outcome = failures.proved_by_no_answer(self.target.outlier)
                return self._lost(answer, held, verdict, gate, outcome)
            try:
                piece = await self._read(answer, limit)
            except TimeoutError:
                return self._lost_in_silence(answer, held, has_begun=has_begun)
            except BodyBroken:  # what came before is still there for whoever reads on
                verdict = gate.end(is_cut=True)
                if verdict is Verdict.GOOD:
                    return Committed(self, answer, tuple(held), gate)
                return self._lost(answer, held, verdict, gate, Outcome(503, local_origin=True))

    async def _read(self, answer: Answered, limit: float) -> bytes:
        until = limit if self._deadline is None else min(limit, self._deadline)
        async with asyncio.timeout(max(0.0, until - self._shared.clock())):
            return await answer.response.read()

    def _commit(self, answer: Answered, held: list[bytes], gate: AnswerGate) -> Committed:
        self.attempts.charge(answer.endpoint, Outcome(answer.response.status))
        self._succeeded = True
        return Committed(self, answer, tuple(held), gate)

    def _lost(
        self, answer: Answered, held: list[bytes], verdict: Verdict, gate: AnswerGate, outcome: Outcome
    ) -> Lost:
        """An answer that is none; as nothing of it has reached the client, an error can stand for it."""
        self.attempts.charge(answer.endpoint, outcome)
        self.attempts.discard(answer, held)
        self._succeeded = False
        if verdict is Verdict.CUT:
            reply = local_replies.failed(Failure.RESET, retries_done=self.begun - 1)
        else:
            # The client is not to learn a provider's key from a reply of ours.
            error = Echoes([answer.outgoing]).without(gate.error.encode()).decode(errors="replace")
            reply = local_replies.no_answer(str(verdict), error)
        return Lost(self, str(verdict), is_covered=True, otherwise=reply)

    def _lost_in_silence(self, answer: Answered, held: list[bytes], *, has_begun: bool) -> Lost:
        """Nothing came in time: no first token or, of an answer that is held as a whole, no other."""
        self.attempts.charge(answer.endpoint, Outcome(504, local_origin=True))
        self.attempts.discard(answer, held)
        self._succeeded = False
        word = str(Verdict.CUT) if has_begun else failures.NO_BEGINNING
        reason = _DEADLINE if self._is_late() else word
        return Lost(self, reason, word in self._policy.failures, local_replies.REQUEST_TIMEOUT)

    def _is_late(self) -> bool:
        return self._deadline is not None and self._shared.clock() >= self._deadline

    def _hold_off(self, answer: Answered) -> bool:
        """Leave an endpoint alone for as long as it asks for, within the policy's bound, if it does."""
        status, shared = answer.response.status, self._shared
        if not (status == 429 or status >= 500) or not self._policy.max_retry_after_s:
            return False
        wait = wait_s(answer.response.header, wall_time=shared.wall_clock())
        if not wait:
            return False
        seconds = min(wait, self._policy.max_retry_after_s)
        if event := shared.health.hold_off(self.target, answer.endpoint, seconds=seconds, now=shared.clock()):
            shared.on_event(event)
            shared.sweep()
        return True

    def _is_out(self, endpoint: Endpoint) -> bool:
        shared = self._shared
        if self.candidate.only is not None:
            return endpoint != self.candidate.only
        if shared.health.is_ejected(self.target, endpoint):
            return True
        return not shared.readmission.admits(
            (self.target.key, endpoint),
            probation=self._policy.probation,
            slow_start_s=self._policy.slow_start_s,
            now=shared.clock(),
            rng=shared.rng,
        )
