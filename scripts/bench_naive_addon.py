"""What one would write first: an addon that rewrites every LLM request in place, with no fallback at all."""

import json
import os

from mitmproxy import http

TARGETS: dict[str, dict[str, str]] = json.loads(os.environ["BENCH_NAIVE_TARGETS"])


def request(flow: http.HTTPFlow) -> None:
    """Send a request for a known host to its upstream, with that upstream's path, key and model."""
    host = flow.request.pretty_host
    target = TARGETS.get(host)
    if target is None:
        return
    body = json.loads(flow.request.content or b"{}")
    body["model"] = target["model"]
    flow.request.content = json.dumps(body).encode()
    flow.request.scheme = target["scheme"]
    flow.request.host = "127.0.0.1"
    flow.request.port = int(target["port"])
    flow.request.path = target["path"]
    flow.request.headers["Host"] = host
    flow.request.headers["Authorization"] = f"Bearer {target['key']}"


def responseheaders(flow: http.HTTPFlow) -> None:
    """Pass event streams on as they arrive."""
    if flow.response and flow.response.headers.get("content-type", "").startswith("text/event-stream"):
        flow.response.stream = True
