"""Which requests a rule's faults hit, as Envoy's fault filter decides it. Pure."""

import random
from dataclasses import dataclass

from llm_fallback.config.routes import Fault
from llm_fallback.local_replies import Flag, LocalReply

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class FaultDecision:
    """What happens to one request: a delay (0 is none), and then an answer that is not the upstream's."""

    delay_s: float = 0.0
    abort_status: int | None = None

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Envoy's response flags for what was injected."""
        delayed = (Flag.DELAY_INJECTED,) if self.delay_s else ()
        return (*delayed, Flag.FAULT_INJECTED) if self.abort_status is not None else delayed

    def reply(self) -> LocalReply | None:
        """The answer that stands for the upstream's; None if the request goes on."""
        if self.abort_status is None:
            return None
        return LocalReply(self.abort_status, "fault filter abort", self.flags)


NO_FAULT = FaultDecision()


def decide(fault: Fault | None, rng: random.Random) -> FaultDecision:
    """Whether a request is delayed and whether it is aborted: two draws, each independent of the other."""
    if fault is None:
        return NO_FAULT
    is_delayed = _hits(fault.delay_percent, rng)
    is_aborted = _hits(fault.abort_percent, rng)
    return FaultDecision(fault.delay_s if is_delayed else 0.0, fault.abort_status if is_aborted else None)


def _hits(percent: float, rng: random.Random) -> bool:
    """Istio gives Envoy percentages in whole millionths, what is left over cut off."""
    return percent > 0 and rng.randrange(_MILLION) < int(percent * 10_000)
