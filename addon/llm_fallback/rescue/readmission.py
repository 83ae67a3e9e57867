"""How endpoints that were ejected come back, for those who want more than Envoy's all at once. Pure.

Probation lets one request at a time through until one has succeeded; slow start lets a growing share through.
"""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from llm_fallback.config.snapshot import Target, TargetEndpoint
from llm_fallback.outlier import Endpoint

_FIRST_SHARE = 0.1


@dataclass(slots=True, eq=False)
class Trial:
    """What is known of an endpoint since it came back, and whether a request is to prove it."""

    at: float
    is_unproven: bool = True
    is_under_way: bool = False

    def end(self, *, succeeded: bool | None) -> None:
        """The request has come to an end; None proves nothing."""
        self.is_under_way = False
        if succeeded:
            self.is_unproven = False


class Readmission:
    """The endpoints that came back; `now` is in seconds of one clock."""

    def __init__(self) -> None:
        self._trials: dict[TargetEndpoint, Trial] = {}

    def adopt(self, targets: Iterable[Target]) -> None:
        """Forget all targets but these, and their endpoints that are no longer written down."""
        stay = {target.key for target in targets}
        self._trials = {each: trial for each, trial in self._trials.items() if each[0] in stay}
        for target in targets:
            if not target.per_address:
                self.keep_only(target, target.endpoints)

    def keep_only(self, target: Target, endpoints: Collection[Endpoint]) -> None:
        """Forget the target's endpoints that are gone."""
        for key, endpoint in tuple(self._trials):
            if key == target.key and endpoint not in endpoints:
                del self._trials[key, endpoint]

    def returned(self, endpoint: TargetEndpoint, *, now: float) -> None:
        """An ejection is over."""
        self._trials[endpoint] = Trial(now)

    def vouch(self, endpoint: TargetEndpoint) -> None:
        """Somebody says that the endpoint has nothing to prove."""
        self._trials.pop(endpoint, None)

    def admits(
        self,
        endpoint: TargetEndpoint,
        *,
        probation: bool,
        slow_start_s: float,
        now: float,
        rng: random.Random,
    ) -> bool:
        """Whether one more request may go to the endpoint."""
        back = self._trials.get(endpoint)
        if back is None:
            return True
        if probation and back.is_unproven:
            return not back.is_under_way
        share = max(_FIRST_SHARE, (now - back.at) / slow_start_s) if slow_start_s else 1.0
        return share >= 1.0 or rng.random() < share

    def begin(self, endpoint: TargetEndpoint) -> Trial | None:
        """A request goes to the endpoint; the trial that it is, if it is one: its end must be told."""
        back = self._trials.get(endpoint)
        if back is None or not back.is_unproven or back.is_under_way:
            return None
        back.is_under_way = True
        return back
