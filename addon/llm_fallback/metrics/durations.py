"""How long things took, as a histogram. Pure."""

from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS_MS = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000),
    *(300_000, 600_000, 1_800_000, 3_600_000),
)
"""Envoy's, for every histogram."""


@dataclass(slots=True)
class Durations:
    """How many took how long: `buckets` are those of BUCKETS_MS, and one for all that took longer."""

    count: int = 0
    sum_ms: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))

    def add(self, milliseconds: float) -> None:
        """One more."""
        self.count += 1
        self.sum_ms += milliseconds
        self.buckets[bisect_left(BUCKETS_MS, milliseconds)] += 1
