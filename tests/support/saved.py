"""Flows as mitmproxy saved them."""

from pathlib import Path

from mitmproxy import http
from mitmproxy.io import FlowReader


def read_flows(file: Path) -> list[http.HTTPFlow]:
    """All HTTP flows of a file."""
    with file.open("rb") as stream:
        return [flow for flow in FlowReader(stream).stream() if isinstance(flow, http.HTTPFlow)]


def is_attempt(flow: http.HTTPFlow) -> bool:
    """Whether it shows a lost attempt, and no request of a client's."""
    return "llm_fallback_attempt" in flow.metadata


def read_requests(file: Path) -> list[http.HTTPFlow]:
    """The flows of clients' requests."""
    return [flow for flow in read_flows(file) if not is_attempt(flow)]
