"""What exchanges and their attempts share, and whom they tell what they do."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from llm_fallback.balancing import Balancer
from llm_fallback.config.snapshot import Target
from llm_fallback.events import Attempted, Event
from llm_fallback.headers import Headers
from llm_fallback.health import Health
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.overrides import Overrides
from llm_fallback.rescue.budget import RescueBudget
from llm_fallback.rescue.readmission import Readmission
from llm_fallback.upstream.client import UpstreamClient
from llm_fallback.upstream.discovery import Discovery


class Shared(Protocol):
    """What all exchanges share."""

    client: UpstreamClient
    health: Health
    readmission: Readmission
    budget: RescueBudget
    discovery: Discovery
    overrides: Overrides
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    rng: random.Random
    on_event: Callable[[Event], None]

    def balancer(self, target: Target) -> Balancer:
        """The state of the target's load balancing."""

    def sweep(self) -> None:
        """Do the sweeps that are due."""

    def send_copy(self, target: Target, outgoing: Outgoing, timeout_s: float | None) -> None:
        """Send a copy of a request, for which nobody waits."""


@dataclass(frozen=True, slots=True, repr=False)
class LostAttempt:
    """An attempt whose answer nobody gets: what was sent, and what has come back, if anything."""

    attempt: Attempted
    outgoing: Outgoing
    target: Target
    endpoint: Endpoint
    headers: Headers = ()
    body: bytes = b""


class Watcher(Protocol):
    """Is told of every attempt before it is made, and again if its answer is not the one."""

    def attempting(self, outgoing: Outgoing, target: Target, endpoint: Endpoint) -> None:
        """An attempt is about to be made."""

    def lost(self, attempt: LostAttempt) -> None:
        """An attempt has failed, or its answer is thrown away."""
