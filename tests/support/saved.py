"""Flows as mitmproxy saved them."""

from pathlib import Path

from mitmproxy import http
from mitmproxy.io import FlowReader


def read_flows(file: Path) -> list[http.HTTPFlow]:
    """All HTTP flows of a file."""
    with file.open("rb") as stream:
        return [flow for flow in FlowReader(stream).stream() if isinstance(flow, http.HTTPFlow)]
