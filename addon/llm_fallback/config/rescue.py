"""Compiled LLMFallbackPolicies: how the requests of a rule are rescued, beyond what the mesh does."""

from dataclasses import dataclass

from llm_fallback.config.destination import Destination
from llm_fallback.resources.llmfallbackpolicy import AllEjected, Hold


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that an attempt may take to its headers, to its first token, and between two tokens."""

    response_headers_s: float
    first_token_s: float
    stall_s: float


@dataclass(frozen=True, slots=True)
class Budget:
    """How many rescuing attempts the process makes at once: a share of its active requests, and a floor."""

    percent: float
    minimum: int


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
    codes: frozenset[int]
    attempts: int
    deadline_s: float
    backoff_s: float
    unless_slower_than_s: float | None
    chain: tuple[Link, ...]
    limits: Limits
    max_retry_after_s: float
    probation: bool
    slow_start_s: float
    hold: Hold
    hedging: Hedging | None
    budget: Budget
    all_ejected: AllEjected
    max_request_bytes: int
    header_prefix: str | None
