"""How the targets are at one moment, as frozen values. Pure."""

from dataclasses import dataclass

from llm_fallback.config.snapshot import Target, TargetKey
from llm_fallback.outlier import Endpoint, State


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint: what outlier detection knows of it, if there is any, and what it has to do.

    `held_until` is not None while it is left alone because it has asked for that; `by_hand_until` while a
    person has taken it out, infinity if until it is returned. Times are in seconds of the engine's monotonic
    clock.
    """

    endpoint: Endpoint
    weight: int = 1
    state: State | None = None
    held_until: float | None = None
    connections: int = 0
    active_requests: int = 0
    pending_requests: int = 0
    by_hand_until: float | None = None

    @property
    def is_ejected(self) -> bool:
        """Whether outlier detection has ejected it."""
        return self.state is not None and self.state.ejected_for is not None

    @property
    def is_in_rotation(self) -> bool:
        """Whether it takes requests."""
        return not self.is_ejected and self.held_until is None and self.by_hand_until is None

    @property
    def word(self) -> str:
        """Its state in a word or three; what a person has done comes before what the proxy found."""
        if self.by_hand_until is not None:
            return "ejected by hand"
        if self.is_ejected:
            return "ejected"
        return "in rotation" if self.held_until is None else "held"

    @property
    def returns_at(self) -> float | None:
        """When it is back: infinity if it has to be returned, None while it is in rotation."""
        ejected = self.state.returns_at if self.state else None
        moments = (ejected, self.held_until, self.by_hand_until)
        return max((moment for moment in moments if moment is not None), default=None)


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target, and the endpoints that it has now."""

    target: Target
    endpoints: tuple[EndpointStatus, ...]


def cluster_name(key: TargetKey) -> str:
    """The name of a target's cluster in Istio's configuration of Envoy."""
    host, port, subset = key
    return f"outbound|{port}|{subset or ''}|{host}"
