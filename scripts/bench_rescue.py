"""What a rescue costs: time on top of the fallback's own, and on top of an answer's first event.

All hosts are behind one mitmdump. A failing host's fallback is the host that is asked directly for
comparison: a difference within a round is what the failure and its rescue have cost.
"""

import asyncio
import json
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import bench_load
import bench_proxies
from bench_load import Load
from bench_proxies import Contender, Proxy, Workspace

NAME = "rescue"
LIMIT_S = 0.1
DIRECT, PLAIN, HELD = "direct", "plain", "held"

type Figures = dict[str, list[float]]
"""Milliseconds, one figure a round."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A way to fail, and the time that the policy grants before it counts as one."""

    requests: int
    path: str | None  # of the benchmark's upstream; None: nobody listens
    granted_s: float = 0.0


FAILURES = {
    "refused": Failure(60, None),
    "503": Failure(60, "/503"),
    "hang": Failure(12, "/hang", LIMIT_S),
}
_REQUESTS = 60
_STREAMS = 5


def figures(rounds: int) -> Figures:
    """Play it, and return what was measured; StartError or LoadError if that fails."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        workspace = stack.enter_context(bench_proxies.upstream(directory))
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        config = _write(workspace, nobody.getsockname()[1])
        addon = ("-s", "addon/main.py", "--set", f"llm_config={config}")
        contender = Contender(NAME, "the addon with a policy", addon)
        proxy = stack.enter_context(bench_proxies.running(contender, workspace))
        return asyncio.run(_measure(proxy, rounds))


def lines(measured: Figures) -> Iterator[str]:
    """What was measured, for people."""
    count = min(map(len, measured.values()))
    yield f"{NAME}: ms to the fallback's first byte, and what a failure adds to it ({count} rounds)"
    yield f"  {DIRECT:<8} {_spread(measured[DIRECT])}"
    for name, failure in FAILURES.items():
        granted = f", beyond the limit of {failure.granted_s * 1000:.0f} ms" if failure.granted_s else ""
        yield f"  {name:<8} +{_spread(measured[name])}{granted}"
    yield f"hold: ms to the first event of a stream without and with a policy ({count} rounds)"
    for name in (PLAIN, HELD):
        yield f"  {name:<8} {_spread(measured[name])}"
    pairs = zip(measured[HELD], measured[PLAIN], strict=True)
    yield f"  {HELD} ÷ {PLAIN} {_spread([held / plain for held, plain in pairs])}"


async def _measure(proxy: Proxy, rounds: int) -> Figures:
    measured: Figures = {name: [] for name in (DIRECT, *FAILURES, PLAIN, HELD)}
    for number in range(-1, rounds):  # the first one warms up
        round_ms = await _round(proxy)
        if number >= 0:
            for name, value in round_ms.items():
                measured[name].append(value)
    return measured


async def _round(proxy: Proxy) -> Mapping[str, float]:
    direct = await _first_byte_ms(proxy, DIRECT, _REQUESTS)
    added = {
        name: await _first_byte_ms(proxy, name, failure.requests) - direct - failure.granted_s * 1000
        for name, failure in FAILURES.items()
    }
    streams = {name: await _first_byte_ms(proxy, name, _STREAMS, is_stream=True) for name in (PLAIN, HELD)}
    return {DIRECT: direct, **added, **streams}


async def _first_byte_ms(proxy: Proxy, name: str, requests: int, *, is_stream: bool = False) -> float:
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}], "stream": is_stream})
    head = (
        f"POST http://{_host(name)}/v1/chat/completions HTTP/1.1\r\nHost: {_host(name)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    load = Load(proxy.port, (head + body).encode(), requests, connections=1, keep_alive=True)
    sample = await bench_load.run(load, proxy.cpu_seconds)
    return median(exchange.first_piece_s for exchange in sample.exchanges) * 1000


def _host(name: str) -> str:
    return f"bench-{name}.example.com"


def _write(workspace: Workspace, refusing_port: int) -> Path:
    """Write the YAML of all hosts and of the policy; returns its folder."""
    port = workspace.plain_port
    documents = [*_documents(DIRECT, port, "", None), *_documents(PLAIN, port, "", DIRECT)]
    documents += _documents(HELD, port, "", DIRECT)
    for name, failure in FAILURES.items():
        documents += _documents(
            name, refusing_port if failure.path is None else port, failure.path or "", DIRECT
        )
    documents.append(_policy([HELD, *FAILURES]))
    folder = workspace.directory / "rescue"
    folder.mkdir()
    (folder / "bench.yaml").write_text("\n---\n".join(map(json.dumps, documents)))
    return folder


type _Document = dict[str, object]


def _documents(name: str, port: int, prefix: str, fallback: str | None) -> Iterator[_Document]:
    host = _host(name)
    config = {"openAIConfig": {"model": bench_proxies.MODEL}}
    path = f"{prefix}{bench_proxies.PROVIDER_PATH}"
    custom = {"asm.alibabacloud.com/custom-destinationrule": "true"}
    istio, spec = "networking.istio.io/v1", {"host": host, "path": path, "configs": {"defaultConfig": config}}
    yield _resource("istio.alibabacloud.com/v1beta1", "LLMProvider", name, spec, custom)
    yield _resource(
        istio, "DestinationRule", name, {"host": host, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}
    )
    ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]
    place = {"hosts": [host], "ports": ports, "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}]}
    yield _resource(istio, "ServiceEntry", name, place)
    if fallback:
        destination = {"host": host, "port": {"number": 80}}
        route = {"destination": destination, "fallback": {"target": {"host": _host(fallback)}}}
        yield _resource(istio, "VirtualService", name, {"hosts": [host], "http": [{"route": [route]}]})


def _policy(names: Sequence[str]) -> _Document:
    spec = {
        "targetRefs": [{"kind": "VirtualService", "name": f"bench-{name}"} for name in names],
        "limits": {"responseHeaders": f"{LIMIT_S * 1000:.0f}ms"},
    }
    return _resource("llmfallback.io/v1alpha1", "LLMFallbackPolicy", NAME, spec)


def _resource(
    version: str,
    kind: str,
    name: str,
    spec: Mapping[str, object],
    also: Mapping[str, str] | None = None,
) -> _Document:
    metadata = {"name": f"bench-{name}", "annotations": also or {}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"  # noqa: RUF001 - a range
