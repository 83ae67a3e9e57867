"""Names that the parts of Envoy's configuration refer to each other by."""

from typing import Any

from tests.parity.mesh import seconds

type Document = dict[str, Any]

EXTENSIONS = "type.googleapis.com/envoy.extensions"
PORT = 80
"""The port of every service, and of the listener."""


def cluster_name(host: str, subset: str | None = None) -> str:
    """Istio's name of a cluster, but for the characters that separate parts of a statistic."""
    return f"outbound_{PORT}_{subset or ''}_{host}".replace(".", "_")


def destination_cluster(destination: Document) -> str:
    """The cluster of a destination."""
    return cluster_name(destination["host"], destination.get("subset"))


def duration(text: str) -> str:
    """A duration as Envoy writes it."""
    return f"{seconds(text):g}s"
