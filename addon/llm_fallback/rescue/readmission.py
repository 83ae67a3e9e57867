"""How endpoints that were ejected come back, for those who want more than Envoy's all at once. Pure.

Probation lets one request at a time through until one has succeeded; slow start lets a growing share through.
"""

import random
from collections.abc import Hashable
from dataclasses import dataclass

_FIRST_SHARE = 0.1


@dataclass(slots=True)
class _Returned:
    at: float
    is_unproven: bool = True
    is_on_trial: bool = False


class Readmission:
    """What is known of endpoints since they came back, by any key; `now` is in seconds of one clock."""

    def __init__(self) -> None:
        self._returned: dict[Hashable, _Returned] = {}

    def returned(self, endpoint: Hashable, *, now: float) -> None:
        """An ejection is over."""
        self._returned[endpoint] = _Returned(now)

    def admits(
        self, endpoint: Hashable, *, probation: bool, slow_start_s: float, now: float, rng: random.Random
    ) -> bool:
        """Whether one more request may go to the endpoint."""
        back = self._returned.get(endpoint)
        if back is None:
            return True
        if probation and back.is_unproven:
            return not back.is_on_trial
        share = max(_FIRST_SHARE, (now - back.at) / slow_start_s) if slow_start_s else 1.0
        return share >= 1.0 or rng.random() < share

    def begin(self, endpoint: Hashable) -> None:
        """A request goes to the endpoint."""
        if (back := self._returned.get(endpoint)) and back.is_unproven:
            back.is_on_trial = True

    def end(self, endpoint: Hashable, *, succeeded: bool | None) -> None:
        """It has come to an end; None proves nothing."""
        if back := self._returned.get(endpoint):
            back.is_on_trial = False
            if succeeded:
                back.is_unproven = False
