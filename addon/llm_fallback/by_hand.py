"""Endpoints that a person has taken out of rotation: a whole target, or one endpoint of it. Pure.

Such an ejection is none of outlier detection's: it counts in neither its percentage nor its multiplier. Panic
does not end it, as it ends what a detector may have been wrong about: a person has said so.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from llm_fallback.config.snapshot import TargetEndpoint, TargetKey
from llm_fallback.outlier import Endpoint, Return


@dataclass(frozen=True, slots=True)
class _Span:
    since: float
    until: float
    endpoints: tuple[Endpoint, ...]
    """Those that are known to have left with it; others of a whole target may turn up, and are out, too."""


class ByHand:
    """Until when each is out: infinity for who has to be returned. `now` is of one monotonic clock."""

    def __init__(self) -> None:
        self.spans: dict[tuple[TargetKey, Endpoint | None], _Span] = {}
        """By target and endpoint; None is for all endpoints that the target has or will have."""

    def eject(
        self,
        key: TargetKey,
        endpoint: Endpoint | None,
        known: Sequence[Endpoint],
        *,
        now: float,
        until: float,
    ) -> list[Endpoint]:
        """Take one endpoint out, or the whole target, whose endpoints are `known`; say which are out newly.

        The last word counts: it may shorten what an earlier one said of the same.
        """
        leaving = (endpoint,) if endpoint else tuple(known)
        new = [each for each in leaving if not self.holds(key, each)]
        if endpoint is None:
            for place in [place for place in self.spans if place[0] == key and place[1]]:
                del self.spans[place]
        before = self.spans.get((key, endpoint))
        self.spans[key, endpoint] = _Span(before.since if before else now, until, leaving)
        return new

    def since(self) -> Iterator[tuple[TargetEndpoint, float]]:
        """Who is out, and since when; twice, if they are out by themselves and with their target."""
        for (key, _), span in self.spans.items():
            yield from (((key, endpoint), span.since) for endpoint in span.endpoints)

    def keep_only(self, keys: Collection[TargetKey]) -> None:
        """Forget all targets but these."""
        self.spans = {place: span for place, span in self.spans.items() if place[0] in keys}

    def holds(self, key: TargetKey, endpoint: Endpoint) -> bool:
        """Whether the endpoint is out, as of the last `advance`."""
        return (key, endpoint) in self.spans or (key, None) in self.spans

    def concerns(self, key: TargetKey, endpoint: Endpoint | None) -> bool:
        """Whether the endpoint is out or, with None, any of the target's."""
        return self.holds(key, endpoint) if endpoint else any(place[0] == key for place in self.spans)

    def until(self, key: TargetKey, endpoint: Endpoint) -> float | None:
        """When the endpoint comes back by itself: infinity if it does not, None if it is not out."""
        spans = (self.spans.get((key, endpoint)), self.spans.get((key, None)))
        return max((span.until for span in spans if span), default=None)

    def put_back(
        self, key: TargetKey, endpoint: Endpoint | None, known: Sequence[Endpoint], *, now: float
    ) -> list[tuple[TargetKey, Return]]:
        """End the ejection of one endpoint, or of all of the target, whose endpoints are `known`."""
        if endpoint is None:
            ended = [place for place in self.spans if place[0] == key]
            return self._end(ended, now=now)
        if whole := self.spans.pop((key, None), None):
            for each in known:
                self.spans.setdefault((key, each), replace(whole, endpoints=(each,)))
        return self._end([(key, endpoint)], now=now)

    def advance(self, now: float) -> list[tuple[TargetKey, Return]]:
        """Say whose time is over."""
        return self._end([place for place, span in self.spans.items() if span.until <= now])

    @property
    def next_return(self) -> float | None:
        """When the next one comes back by itself."""
        return min((span.until for span in self.spans.values() if span.until < math.inf), default=None)

    def _end(
        self, places: Iterable[tuple[TargetKey, Endpoint | None]], *, now: float = math.inf
    ) -> list[tuple[TargetKey, Return]]:
        ended = [(place[0], span) for place in places if (span := self.spans.pop(place, None))]
        return [
            (key, Return(endpoint, min(span.until, now) - span.since))
            for key, span in ended
            for endpoint in span.endpoints
            if not self.holds(key, endpoint)
        ]
