"""What a person has set at run time: pins and injected faults, and how such things are written. Pure.

In memory only, and gone at restart. Ejections by hand are `Health`'s, which decides who is in rotation.
"""

import random
from dataclasses import dataclass

from llm_fallback.config.snapshot import TargetKey
from llm_fallback.outlier import Endpoint
from llm_fallback.overrides.errors import BadActionError
from llm_fallback.overrides.fault import Fault, FaultKind, fault_of
from llm_fallback.overrides.places import Place

__all__ = ["BadActionError", "Fault", "FaultKind", "Injected", "Overrides", "Place", "fault_of"]


@dataclass(slots=True, eq=False)
class Injected:
    """A fault in force at a place; `left` is how often it still strikes, None for ever."""

    id: int
    place: Place
    fault: Fault
    left: int | None

    def __str__(self) -> str:
        share = f", {self.fault.percentage:g} %" if self.fault.percentage < 100 else ""
        left = f", {self.left} left" if self.left is not None else ""
        return f"{self.fault}{share}{left}"


class Overrides:
    """The pins by managed host, and the faults in the order in which they were set."""

    def __init__(self) -> None:
        self.pins: dict[str, TargetKey] = {}
        self.faults: list[Injected] = []
        self._last_id = 0

    def pinned(self, host: str) -> TargetKey | None:
        """The target that requests for a managed host go to, whatever rules and health say."""
        return self.pins.get(host.lower().removesuffix("."))

    def inject(self, place: Place, fault: Fault) -> Injected:
        """Have the fault strike attempts at the place from now on."""
        self._last_id += 1
        injected = Injected(self._last_id, place, fault, fault.count)
        self.faults.append(injected)
        return injected

    def strike(self, key: TargetKey, endpoint: Endpoint, rng: random.Random) -> Injected | None:
        """The fault that strikes an attempt, if one does; of several at one place, the newest comes first."""
        for injected in reversed(self.faults):
            share = injected.fault.percentage
            if injected.place.covers(key, endpoint) and (share >= 100 or rng.uniform(0, 100) < share):
                if injected.left is not None:
                    injected.left -= 1
                    if not injected.left:
                        self.faults.remove(injected)
                return injected
        return None

    def clear_faults(self, place: Place | None = None) -> int:
        """End the faults at a place and within it, or all; returns how many."""
        left = [each for each in self.faults if place is not None and not place.contains(each.place)]
        ended = len(self.faults) - len(left)
        self.faults = left
        return ended

    def clear_pins(self, host: str | None = None) -> int:
        """End the pin of a managed host, or all; returns how many."""
        ended = [each for each in self.pins if host is None or each == host.lower().removesuffix(".")]
        for each in ended:
            del self.pins[each]
        return len(ended)
