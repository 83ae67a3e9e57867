"""Sending a request: to the one target that its rule has chosen or, with a policy, to any that answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from llm_fallback.balancing import hash_key, new_cookie
from llm_fallback.bodies import Bodies
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.snapshot import Snapshot, Target
from llm_fallback.events import Attempted
from llm_fallback.headers import Headers
from llm_fallback.local_replies import Flag, LocalReply
from llm_fallback.matching import RequestFacts
from llm_fallback.messages import OriginalRequest, Outgoing
from llm_fallback.outlier import Endpoint, Outcome
from llm_fallback.rescue.failures import in_order
from llm_fallback.rescue.gate import AnswerGate
from llm_fallback.rewriting import Plan, rewrite
from llm_fallback.routing import Matched, Routed, find_target
from llm_fallback.upstream.attempts import Answered, Attempts, Limits
from llm_fallback.upstream.defects import tell
from llm_fallback.upstream.legs import Candidate
from llm_fallback.upstream.rescue import Rescue
from llm_fallback.upstream.shared import LostAttempt, Shared, Watcher

_NO_RETRY = ("x-should-retry", "false")  # the official SDKs heed it


class _Tries(Protocol):
    @property
    def made(self) -> list[Attempted]:
        """The attempts so far."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: the answer, whose it is, and what is known of it besides.

    `held` is what has been read of the body; `gate` follows the rest, in which there may be silence for
    `stall_s`; `charge` counts what becomes of it. `marks` are headers of ours for the answer. `is_foreign`: a
    policy has had it from another host than the client's, whose cookies would become those of the client's.
    """

    answer: LocalReply | Answered
    target: Target | None
    flags: tuple[Flag, ...] = ()
    held: tuple[bytes, ...] = ()
    gate: AnswerGate | None = None
    stall_s: float | None = None
    charge: Callable[[Endpoint, Outcome], None] | None = None
    marks: Headers = ()
    is_foreign: bool = False


class Dispatch:
    """Sends one request; `limits` are its rule's."""

    def __init__(
        self,
        shared: Shared,
        snapshot: Snapshot,
        request: OriginalRequest,
        facts: RequestFacts,
        watcher: Watcher,
        limits: Limits,
    ) -> None:
        self.set_cookie: str | None = None
        self.bodies = Bodies(request)
        self._shared = shared
        self._snapshot = snapshot
        self._request = request
        self._facts = facts
        self._watcher = watcher
        self._limits = limits
        self._tries: _Tries | None = None
        self._rescue: Rescue | None = None
        self._to_mirror: tuple[Matched, Routed] | None = None

    @property
    def made(self) -> tuple[Attempted, ...]:
        """The attempts so far."""
        return tuple(self._tries.made) if self._tries else ()

    @property
    def last_target(self) -> Target | None:
        """Whom a rescue has asked last, or whose failure is its answer."""
        return self._rescue.last_target if self._rescue else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a rescue went on, target by target."""
        return tuple(self._rescue.reasons) if self._rescue else ()

    @property
    def is_spent(self) -> bool:
        """Whether a rescue had nobody left to ask."""
        return self._rescue is not None and self._rescue.is_spent

    def close(self) -> None:
        """Let go of the attempts, which know whom to tell and would be kept with all that they hold."""
        self._tries = self._rescue = None

    async def send(
        self, matched: Matched, routed: Routed, target: Target, *, is_pinned: bool = False
    ) -> Sent:
        """Attempts at one target, all of them, as the mesh has it; if pinned, whoever is out of rotation."""
        key, self.set_cookie = self._hash(target)
        attempts = self._tries = Attempts(
            self._shared, target, self._limits, self, hash_key=key, is_out=_nobody if is_pinned else None
        )
        self._to_mirror = matched, routed
        answer = await attempts.run(self._outgoing(matched, routed, target, is_pinned=is_pinned))
        is_foreign = is_pinned and target.host != self._request.host.lower()
        return Sent(answer, target, attempts.flags, charge=attempts.charge, is_foreign=is_foreign)

    async def rescue(self, matched: Matched, routed: Routed, policy: RescuePolicy) -> Sent:
        """Attempts at one target after another, until one has an answer."""
        deadline = self._shared.clock() + policy.deadline_s
        rescue = self._tries = self._rescue = Rescue(
            self._shared,
            policy,
            self._candidates(matched, routed, policy),
            replace(self._limits, deadline=_earlier(deadline, self._limits.deadline)),
            self,
        )
        self._to_mirror = matched, routed
        answer = await rescue.run()
        marks = _marks(policy, rescue)
        if isinstance(answer, LocalReply):
            return Sent(answer, rescue.last_target, rescue.flags, marks=marks)
        leg = answer.leg
        self.set_cookie = leg.candidate.set_cookie
        return Sent(
            answer.answered,
            leg.target,
            leg.attempts.flags,
            answer.held,
            answer.gate,
            policy.limits.stall_s,
            leg.attempts.charge,
            (*marks, *_server(policy, leg.target, matched.route.llm_rule)),
            leg.target.host != self._request.host.lower(),
        )

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """Copy what is sent for the first time to those who only watch, and tell the watcher."""
        if self._to_mirror:
            self._mirror(*self._to_mirror)
            self._to_mirror = None
        self._watcher.attempting(outgoing, target, endpoint)

    def lost(self, attempt: LostAttempt) -> None:
        """Tell the watcher."""
        tell(self._watcher.lost, attempt)

    def _candidates(self, matched: Matched, routed: Routed, policy: RescuePolicy) -> Iterator[Candidate]:
        """The destination's target, its fallback, and the chain, each once."""
        links = in_order(policy.chain, self._shared.rng)
        further = (find_target(self._snapshot, link.destination, self._request.port) for link in links)
        for target in dict.fromkeys((routed.target, routed.fallback, *further)):
            if target is not None:
                outgoing = partial(self._outgoing, matched, routed, target, is_rescue=True)
                yield Candidate(target, outgoing, *self._hash(target))

    def _outgoing(
        self,
        matched: Matched,
        routed: Routed,
        target: Target,
        *,
        is_rescue: bool = False,
        is_pinned: bool = False,
    ) -> Outgoing:
        plan = Plan.of(
            matched.route,
            matched.match,
            routed.destination,
            fell_back=target is not routed.target,
            is_rescue=is_rescue,
            is_pinned=is_pinned,
        )
        addressed = self._snapshot.provider_of(self._request.host)
        return rewrite(self._request, target, addressed, plan, bodies=self.bodies)

    def _hash(self, target: Target) -> tuple[int | None, str | None]:
        """What chooses the endpoint, and the cookie that makes it choose the same again."""
        policy = target.balancing.hash_policy
        if policy is None:
            return None, None
        request = self._request
        address = request.client.rpartition(":")[0].strip("[]")
        key = hash_key(policy, headers=request.headers, query=self._facts.query, source_ip=address)
        if key is None and (cookie := new_cookie(policy, client=request.client, proxy=request.proxy)):
            return cookie.hash_key, cookie.header
        return key, None

    def _mirror(self, matched: Matched, routed: Routed) -> None:
        for mirror in matched.route.mirrors:
            if self._shared.rng.uniform(0, 100) < mirror.percent:
                target = find_target(self._snapshot, mirror.destination, self._request.port)
                if target is not None:
                    copy = self._outgoing(matched, routed, target)
                    self._shared.send_copy(target, copy, matched.route.timeout_s)


def _earlier(one: float, other: float | None) -> float:
    return one if other is None else min(one, other)


def _nobody(_: Endpoint) -> bool:
    return False


def _marks(policy: RescuePolicy, rescue: Rescue) -> Headers:
    """What clients are told of how they came to their answer."""
    spent: Headers = (_NO_RETRY,) if rescue.is_spent else ()
    prefix = policy.header_prefix
    if prefix is None:
        return spent
    reason = ((f"{prefix}reason", "; ".join(rescue.reasons)),) if rescue.reasons else ()
    return (*spent, (f"{prefix}attempts", str(rescue.begun)), *reason)


def _server(policy: RescuePolicy, target: Target, llm_rule: str | None) -> Headers:
    """Who answers, for clients that want to know, and as which model if it is not the client's choice."""
    prefix = policy.header_prefix
    if prefix is None:
        return ()
    model = target.provider.config(llm_rule).model if target.provider else None
    told = ((f"{prefix}model", model),) if model and model.isprintable() and model.isascii() else ()
    return ((f"{prefix}host", target.host), *told)
