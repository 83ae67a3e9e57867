"""Earliest deadline first: endpoints in turn, each as often as its weight says.

A pick moves time to the earliest deadline, and that endpoint's next deadline is 1 / weight later, with the
weight of that moment; equal deadlines are met in the order in which they were set.
"""

import heapq
from collections.abc import Callable, Sequence

from llm_fallback.outlier import Endpoint

_MAX_PICKS = 429_496_729  # Envoy's bound on the picks that a schedule starts with

type Weight = Callable[[Endpoint], float]


class Schedule:
    """Picks by weights above 0, as if `picks` had been made before (Envoy starts at a random one)."""

    def __init__(self, endpoints: Sequence[Endpoint], weight: Weight, *, picks: int) -> None:
        weights = [weight(endpoint) for endpoint in endpoints]
        picks %= _MAX_PICKS
        whole = [int(each * picks / sum(weights)) for each in weights]
        self._time = max(done / each for done, each in zip(whole, weights, strict=True))
        self._order = len(endpoints)
        self._queue = [
            ((done + 1) / each, number, endpoint)
            for number, (done, each, endpoint) in enumerate(zip(whole, weights, endpoints, strict=True))
        ]
        heapq.heapify(self._queue)
        fixed = dict(zip(endpoints, weights, strict=True))
        for _ in range(picks - sum(whole)):  # fewer than there are endpoints
            self.pick(fixed.__getitem__)

    def pick(self, weight: Weight) -> Endpoint:
        """The endpoint whose turn it is."""
        deadline, _, endpoint = self._queue[0]
        self._time = max(self._time, deadline)
        heapq.heapreplace(self._queue, (self._time + 1 / weight(endpoint), self._order, endpoint))
        self._order += 1
        return endpoint
