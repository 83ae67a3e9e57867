"""What happened lately, for whoever looks: decisions, a timeline, and figures of each target over time. Pure.

Taking an event has to cost next to nothing, since it is done for every request: the event is kept as it is, and
texts are made when somebody asks. All of it is bounded, however long the proxy runs and whatever it is sent.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple

from llm_fallback import story
from llm_fallback.events import Attempted, Ejected, Event, Handled, Returned

KEPT = 200
"""How many decisions, and how many entries of the timeline."""

STEP_S = 5
STEPS = 120
"""Figures of a target are kept for as many steps: ten minutes."""

MAX_TARGETS = 500
"""Whose figures are kept over time, of those that are called within a step."""

_TOGETHER_S = 60.0  # as long, what is the same is one entry
_MAX_OPEN = 50  # fewer than KEPT: what still changes is never gone
_MAX_STEPS_BACK = 12  # a clock that was put right; one that was set anew begins anew
_BOUNDS_MS = tuple(2 ** (half / 2) for half in range(40))  # to 12 minutes, each bucket half as wide again
_NO_FAILURES = frozenset({"DC", "DI"})  # the client left, and what a rule wanted


class Kind(StrEnum):
    """What an entry of the timeline is about."""

    EJECTED = "ejected"
    RETURNED = "returned"
    FALLBACK = "fallback"
    RESCUED = "rescued"
    FAILURE = "failure"
    RELOAD = "reload"
    ACTION = "action"


class Entry(NamedTuple):
    """One line of the timeline; `at` is when it began. The text of one that goes on changes, its `id` does not."""

    id: int
    at: float
    kind: Kind
    target: str | None
    text: str


class Decision(NamedTuple):
    """A request that has been handled; `at` is when it ended."""

    number: int
    at: float
    event: Handled


@dataclass(frozen=True, slots=True)
class Totals:
    """Attempts at a target since the start, those that failed, and requests that went elsewhere instead."""

    requests: int = 0
    failures: int = 0
    fallbacks_away: int = 0


@dataclass(slots=True)
class Series:
    """Figures of a target, one for each step; latencies are None where there was no answer."""

    requests: list[int] = field(default_factory=lambda: [0] * STEPS)
    failures: list[int] = field(default_factory=lambda: [0] * STEPS)
    p50_ms: list[float | None] = field(default_factory=lambda: [None] * STEPS)
    p95_ms: list[float | None] = field(default_factory=lambda: [None] * STEPS)


@dataclass(slots=True)
class _Counts:
    """Of one target in one step; `answers` counts by bucket of duration."""

    requests: int = 0
    failures: int = 0
    answers: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    """An entry as it is kept."""

    id: int
    at: float
    kind: Kind
    target: str | None
    text: str
    version: int
    last_at: float
    count: int = 1

    def shown(self) -> Entry:
        text = self.text
        if self.count > 1:
            text = f"{text} ({self.count} requests in {max(1.0, self.last_at - self.at):.0f} s)"
        return Entry(self.id, self.at, self.kind, self.target, text)


class History:
    """What happened lately. Every `now` is in seconds since 1970.

    `version` grows with every change: whoever has seen one can ask for what came after it.
    """

    def __init__(self) -> None:
        self.version = 0
        self._decisions: deque[tuple[int, float, Handled]] = deque(maxlen=KEPT)
        self._timeline: deque[_Open] = deque(maxlen=KEPT)
        self._open: dict[object, _Open] = {}
        self._last_id = 0
        self._step = 0
        self._counts: dict[str, _Counts] = {}
        self._steps: deque[tuple[int, dict[str, _Counts]]] = deque(maxlen=STEPS)
        self._totals: dict[str, Totals] = {}

    def adopt(self, targets: Collection[str]) -> None:
        """Forget the figures of all other targets."""
        self._totals = {name: totals for name, totals in self._totals.items() if name in targets}
        for _, counts in self._steps:
            for name in [name for name in counts if name not in targets]:
                del counts[name]

    def take(self, event: Event, now: float) -> None:
        """Keep what happened."""
        self.version += 1
        if isinstance(event, Handled):
            self._decisions.append((self.version, now, event))
            self._count(event, now)
            if event.instead_of is not None or event.flags or event.rescue or (event.status or 0) >= 500:
                self._tell(event, now)
            return
        kind, text = (
            (Kind.EJECTED, story.ejected(event))
            if isinstance(event, Ejected)
            else (Kind.RETURNED, story.returned(event))
        )
        self._add(kind, text, _target_of(event), now)

    def note(self, kind: Kind, text: str, now: float, target: str | None = None) -> None:
        """Keep what no event tells: an action, a reload."""
        self.version += 1
        self._add(kind, text, target, now)

    def decisions(self, after: int = 0) -> Iterator[Decision]:
        """The decisions after a version, the newest first."""
        newest = (Decision(*kept) for kept in reversed(self._decisions))
        return takewhile(lambda decision: decision.number > after, newest)

    def timeline(self, after: int = 0) -> Iterator[Entry]:
        """The entries that are new or have changed after a version, the newest first."""
        return (entry.shown() for entry in reversed(self._timeline) if entry.version > after)

    def totals(self, target: str) -> Totals:
        """What is known of a target since the start."""
        return self._totals.get(target, Totals())

    def series(self, now: float) -> tuple[list[int], Mapping[str, Series]]:
        """When each of the steps began, the present one last, and the figures of each target that was called."""
        first = int(now // STEP_S) - STEPS + 1
        found: dict[str, Series] = {}
        for step, by_target in self._steps:
            if not 0 <= step - first < STEPS:
                continue
            for name, counts in by_target.items():
                series = found.get(name)
                if series is None:
                    series = found[name] = Series()
                _fill(series, step - first, counts)
        return [(first + at) * STEP_S for at in range(STEPS)], found

    def _count(self, event: Handled, now: float) -> None:
        step = int(now // STEP_S)
        if step != self._step:
            self._begin(step)
        for attempt in event.attempts:
            counts = self._counts.get(attempt.target)
            if counts is None:
                if len(self._counts) >= MAX_TARGETS:
                    continue
                counts = self._counts[attempt.target] = _Counts()
            counts.requests += 1
            if attempt.status is not None:
                bucket = bisect_left(_BOUNDS_MS, attempt.duration_s * 1000)
                counts.answers[bucket] = counts.answers.get(bucket, 0) + 1
            if attempt.status != 200 or attempt.lost_after_s is not None:
                counts.failures += _has_failed(attempt)
        return
