"""What follows from an event for more than one of its readers. Pure."""

from typing import NamedTuple

from llm_fallback.events import Handled
from llm_fallback.metrics.names import writable


class Place(NamedTuple):
    """A target's host, port and subset."""

    host: str
    port: int
    subset: str


def place_of(target: str) -> Place | None:
    """The parts of `host:port` or `host:port/subset`; None for what is no target, such as `nowhere`."""
    where, _, subset = target.partition("/")
    host, _, port = where.rpartition(":")
    return Place(host, int(port), subset) if host and port.isascii() and port.isdecimal() else None


def cluster_of(target: str) -> str | None:
    """The name of its cluster in Istio's configuration of Envoy, as in `status.cluster_name`."""
    place = place_of(target)
    return f"outbound|{place.port}|{place.subset}|{place.host}" if place else None


def request_model(event: Handled) -> str | None:
    """The model that the client asked for; without one, the model that the target was asked for."""
    asked = event.received.model if event.received else None
    final = event.final_attempt
    model = asked or (final.model if final else None)
    return writable(model) if model else None
