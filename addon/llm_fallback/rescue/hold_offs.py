"""Endpoints that have asked not to be asked for a while (`Retry-After`). Pure."""

from collections.abc import Callable, Iterator

from llm_fallback.config.snapshot import TargetEndpoint, TargetKey
from llm_fallback.outlier import Endpoint, Return


class HoldOffs:
    """Until when each of them is left alone; `now` is in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._until: dict[TargetEndpoint, tuple[float, float]] = {}

    def hold(self, key: TargetKey, endpoint: Endpoint, *, now: float, until: float) -> bool:
        """Leave the endpoint alone; False if it is already, for at least as long."""
        known = self._until.get((key, endpoint))
        if known and known[1] >= until:
            return False
        self._until[key, endpoint] = (known[0] if known else now, until)
        return True

    def holds(self, key: TargetKey, endpoint: Endpoint) -> bool:
        """Whether it is left alone, as of the last `advance`."""
        return (key, endpoint) in self._until

    def until(self, key: TargetKey, endpoint: Endpoint) -> float | None:
        """When it may be asked again."""
        known = self._until.get((key, endpoint))
        return known[1] if known else None

    def since(self) -> Iterator[tuple[TargetEndpoint, float]]:
        """Who is left alone, and since when."""
        return ((place, since) for place, (since, _) in self._until.items())

    def keep_only(self, stays: Callable[[TargetKey, Endpoint], bool]) -> None:
        """Forget those that are gone: what has their address later has asked for nothing."""
        self._until = {place: times for place, times in self._until.items() if stays(*place)}

    def advance(self, now: float) -> list[tuple[TargetKey, Return]]:
        """Say whose time is over."""
        due = [place for place, (_, until) in self._until.items() if until <= now]
        return [self._release(place) for place in due]

    def put_back(self, key: TargetKey, endpoint: Endpoint, *, now: float) -> Return | None:
        """Ask it again from now on; None if it was not left alone."""
        known = self._until.pop((key, endpoint), None)
        return Return(endpoint, now - known[0]) if known else None

    def _release(self, place: TargetEndpoint) -> tuple[TargetKey, Return]:
        since, until = self._until.pop(place)
        return place[0], Return(place[1], until - since)

    @property
    def next_return(self) -> float | None:
        """When the next one may be asked again."""
        return min((until for _, until in self._until.values()), default=None)
