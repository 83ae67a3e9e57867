"""What happened lately, for whoever looks: decisions, a timeline, and figures of each target over time. Pure.

Taking an event has to cost next to nothing, since it is done for every request: the event is kept as it is,
and plain data is made when somebody asks. All of it is bounded, however long the proxy runs.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple, assert_never

from llm_fallback import story
from llm_fallback.config.snapshot import name_of
from llm_fallback.events import Acted, Attempted, Ejected, Event, Handled, Returned

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
    """One line of the timeline; `at` is when it began. While it goes on its text changes, not its `id`."""

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


@dataclass(slots=True)
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

    totals: Totals
    requests: int = 0
    failures: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    latencies: tuple[float, float] | None = None
    """What the answers make, once there will be no more of them."""


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
            told = f"{self.count} requests in {max(1.0, self.last_at - self.at):.0f} s"
            text = f"{text}: {told}" if text.endswith(")") else f"{text} ({told})"
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

    def adopt(self, targets: Iterable[str]) -> None:
        """Count for these targets and no others; what is counted for those that stay is kept."""
        self._totals = {name: self._totals.get(name) or Totals() for name in targets}
        for _, counts in self._steps:
            for name in [name for name in counts if name not in self._totals]:
                del counts[name]

    def take(self, event: Event, now: float) -> None:
        """Keep what happened."""
        self.version += 1
        if isinstance(event, Handled):
            self._decisions.append((self.version, now, event))
            self._count(event, now)
            has_error = (event.status or 0) >= 500 or event.answer.figures.has_error
            if event.instead_of is not None or event.flags or event.rescue or has_error:
                self._tell(event, now)
            return
        match event:
            case Ejected():
                self._add(Kind.EJECTED, story.ejected(event), name_of(event.key), now)
            case Returned():
                self._add(Kind.RETURNED, story.returned(event), name_of(event.key), now)
            case Acted():
                self._add(Kind.ACTION, event.text, event.target, now)
            case _:
                assert_never(event)

    def note(self, kind: Kind, text: str, now: float, target: str | None = None) -> None:
        """Keep what no event tells, such as a reload."""
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
        return replace(self._totals.get(target) or Totals())

    def series(self, now: float) -> tuple[list[int], Mapping[str, Series]]:
        """When each step began, the present one last, and the figures of each target that was called."""
        first = int(now // STEP_S) - STEPS + 1
        found: dict[str, Series] = {}
        for step, by_target in self._steps:
            if not 0 <= step - first < STEPS:
                continue
            for name, counts in by_target.items():
                series = found.get(name)
                if series is None:
                    series = found[name] = Series()
                _fill(series, step - first, counts, is_over=step != self._step)
        return [(first + at) * STEP_S for at in range(STEPS)], found

    def _count(self, event: Handled, now: float) -> None:
        step = int(now // STEP_S)
        if step != self._step:
            self._begin(step)
        for attempt in event.attempts:
            counts = self._counts.get(attempt.target) or self._counts_of(attempt.target)
            counts.requests += 1
            counts.totals.requests += 1
            if attempt.status is not None:
                bucket = bisect_left(_BOUNDS_MS, attempt.duration_s * 1000)
                counts.answers[bucket] = counts.answers.get(bucket, 0) + 1
            if (attempt.status != 200 or attempt.lost_after_s is not None) and _has_failed(attempt):
                counts.failures += 1
                counts.totals.failures += 1
        if event.instead_of is not None and (totals := self._totals.get(event.instead_of)):
            totals.fallbacks_away += 1

    def _begin(self, step: int) -> None:
        """Begin another step, unless the clock has only been put right."""
        if self._step - _MAX_STEPS_BACK < step < self._step:
            return
        if step < self._step:
            self._steps.clear()
        self._step, self._counts = step, {}
        self._steps.append((step, self._counts))

    def _counts_of(self, target: str) -> _Counts:
        """What to count in; nothing is kept of a target that is unknown, or one too many."""
        totals = self._totals.get(target)
        counts = _Counts(totals or Totals())
        if totals and len(self._counts) < MAX_TARGETS:
            self._counts[target] = counts
        return counts

    def _tell(self, event: Handled, now: float) -> None:
        """Put into the timeline what did not go as the rule has it."""
        match story.result(event):
            case story.Result.FAILED:
                text, target = f"{event.host} -> {event.target}: {story.outcome(event)}", event.target
                self._add_to_same(Kind.FAILURE, text, target, now)
            case story.Result.RESCUED:
                self._add_to_same(Kind.RESCUED, _rescued(event), event.target, now)
            case story.Result.FELL_BACK:
                why = event.override or "which is ejected"
                text = f"{event.target} instead of {event.instead_of}, {why}"
                self._add_to_same(Kind.FALLBACK, text, event.instead_of, now)

    def _add_to_same(self, kind: Kind, text: str, target: str | None, now: float) -> None:
        known = self._open.get((kind, text))
        if known and 0 <= now - known.at < _TOGETHER_S:
            known.count += 1
            known.last_at = now
            known.version = self.version
            return
        if len(self._open) >= _MAX_OPEN:
            self._open.clear()
        self._open[kind, text] = self._append(kind, text, target, now)

    def _add(self, kind: Kind, text: str, target: str | None, now: float) -> None:
        """Begin a new entry; what goes on after it is not what it was before it."""
        self._open.clear()
        self._append(kind, text, target, now)

    def _append(self, kind: Kind, text: str, target: str | None, now: float) -> _Open:
        self._last_id += 1
        entry = _Open(self._last_id, now, kind, target, text, self.version, now)
        self._timeline.append(entry)
        return entry


def _has_failed(attempt: Attempted) -> bool:
    """Whether it counts against its target; one that was given up because another was quicker does not."""
    if attempt.status is None:
        return attempt.failure is not None or attempt.endpoint is None
    return attempt.status >= 500 or attempt.lost_after_s is not None


def _rescued(event: Handled) -> str:
    """Who answered, and for whom: some reasons name no target, or the one that answered in the end."""
    reasons = event.rescue.reasons if event.rescue else ()
    lost = [reason.partition(": ") for reason in reasons]
    others = [f"{name} ({why})" for name, _, why in lost if why and name != event.target]
    if others:
        return f"{event.target} answered instead of {', '.join(others)}"
    return f"{event.target} answered after {', '.join(reasons)}"


def _fill(series: Series, at: int, counts: _Counts, *, is_over: bool) -> None:
    series.requests[at] = counts.requests
    series.failures[at] = counts.failures
    if not counts.answers:
        return
    found = counts.latencies or (_quantile(counts.answers, 0.5), _quantile(counts.answers, 0.95))
    series.p50_ms[at], series.p95_ms[at] = found
    if is_over:
        counts.latencies = found


def _quantile(answers: Mapping[int, int], share: float) -> float:
    """The duration that such a share does not exceed, as if each bucket's were spread evenly over it."""
    wanted = share * sum(answers.values())
    below = 0
    for bucket in sorted(answers):
        here = answers[bucket]
        if below + here >= wanted:
            low = _BOUNDS_MS[bucket - 1] if bucket else 0.0
            high = _BOUNDS_MS[min(bucket, len(_BOUNDS_MS) - 1)]
            return round(low + (high - low) * (wanted - below) / here, 1)
        below += here
    return _BOUNDS_MS[-1]
