"""Compiled LLMFallbackPolicies: how the requests of a rule are rescued, beyond what the mesh does."""

from dataclasses import dataclass, field
from enum import StrEnum

from llm_fallback.config.destination import Destination


class Hold(StrEnum):
    """Until when the client gets nothing, so that the answer can still become another's."""

    FIRST_CONTENT = "FirstContent"
    WHOLE_ANSWER = "WholeAnswer"


class AllEjected(StrEnum):
    """What happens while every target is ejected."""

    FAIL = "Fail"
    TRY_SOONEST = "TrySoonest"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that an attempt may take to its headers, to its first token, and between two tokens."""

    response_headers_s: float = 300.0
    first_token_s: float = 180.0
    stall_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Budget:
    """How many rescuing attempts the process makes at once: a share of its active requests, and a floor."""

    percent: float = 100.0
    minimum: int = 10


@dataclass(frozen=True, slots=True)
class Hedging:
    """When the next target is asked although the attempt before has not failed."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Link:
    """A further target after the fallback; links with weights share the place of the first of them."""

    destination: Destination
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class RescuePolicy:
    """How the requests of a rule are rescued.

    `failures` are words of Envoy's `retry_on` and of this policy's, `codes` statuses. `unless_slower_than_s`:
    a failure that took longer is passed on. `max_retry_after_s` bounds what a provider may ask for; 0 ignores
    it. `max_request_bytes`: larger requests are sent and not rescued. `header_prefix` None: no headers of
    ours.
    """

    name: str
    source: str
    failures: frozenset[str]
    codes: frozenset[int] = frozenset()
    attempts: int = 4
    deadline_s: float = 600.0
    backoff_s: float = 0.0
    unless_slower_than_s: float | None = None
    chain: tuple[Link, ...] = ()
    limits: Limits = Limits()
    max_retry_after_s: float = 300.0
    probation: bool = False
    slow_start_s: float = 0.0
    hold: Hold = Hold.FIRST_CONTENT
    hedging: Hedging | None = None
    budget: Budget = field(default_factory=Budget)
    all_ejected: AllEjected = AllEjected.TRY_SOONEST
    max_request_bytes: int = 10 * 1024 * 1024
    header_prefix: str | None = "x-llm-fallback-"
