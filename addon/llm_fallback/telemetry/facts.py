"""What follows from an event for more than one of its readers. Pure."""

from llm_fallback.config.snapshot import TargetKey
from llm_fallback.events import Handled
from llm_fallback.metrics.names import writable
from llm_fallback.status import cluster_name


def key_of(target: str) -> TargetKey | None:
    """What the target with a name is known by; None for what is no target, such as `nowhere`."""
    where, _, subset = target.partition("/")
    host, _, port = where.rpartition(":")
    return (host, int(port), subset or None) if host and port.isascii() and port.isdecimal() else None


def cluster_of(target: str) -> str | None:
    """The name of its cluster in Istio's configuration of Envoy."""
    key = key_of(target)
    return cluster_name(key) if key else None


def request_model(event: Handled) -> str | None:
    """The model that the client asked for; without one, the model that the target was asked for."""
    asked = event.received.model if event.received else None
    final = event.final_attempt
    model = asked or (final.model if final else None)
    return writable(model) if model else None
