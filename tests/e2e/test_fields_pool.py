"""A DestinationRule's connectionPool: what comes of requests beyond its limits, and how connections end."""

import socket
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import count

import pytest

from tests.support.background import DEADLINE_S, Background, seconds, wait_until
from tests.support.clients import Answer
from tests.support.provider import Behaviour, Exchange, Provider, respond
from tests.support.proxy import Setting
from tests.support.yaml_mesh import Gate, Mesh, destination_rule, running, service_entry, virtual_service

OVERFLOW = b"upstream connect error or disconnect/reset before headers. reset reason: overflow"
POOLS = {
    "unlimited": "tcp: {maxConnections: 1000}",
    "pending": "tcp: {maxConnections: 1}\n    http: {http1MaxPendingRequests: 1}",
    "queue": "tcp: {maxConnections: 1}",
    "requests": "http: {http2MaxRequests: 1}",
    "retries": "http: {maxRetries: 1}",
    "per-connection": "http: {maxRequestsPerConnection: 2}",
    "idle-http": "http: {idleTimeout: 100ms}",
    "idle-tcp": "tcp: {idleTimeout: 100ms}",
    "duration": "tcp: {maxConnectionDuration: 100ms}",
}
"""What stands in the pool, by the first label of the host and of its provider."""

BY_PORT_AND_SUBSET = """
trafficPolicy:
  connectionPool: {http: {maxRequestsPerConnection: 1}}
  portLevelSettings:
  - port: {number: 8080}
    loadBalancer: {simple: RANDOM}
subsets:
- name: three
  labels: {}
  trafficPolicy:
    connectionPool: {http: {maxRequestsPerConnection: 3}}
"""
NO_CONNECTION = """
trafficPolicy:
  connectionPool:
    tcp: {connectTimeout: 200ms}
  tls: {mode: SIMPLE}
"""
ONCE = "- retries: {attempts: 0}\n  route:\n  - destination: {host: silent.test}\n"
RETRIED = "- retries: {attempts: 1, retryOn: 5xx}\n  route:\n  - destination: {host: retries.test}\n"
SUBSET = "- route:\n  - destination: {host: levels.test, port: {number: 80}, subset: three}\n"
LEVELS = """\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: levels}
spec:
  hosts: [levels.test]
  resolution: STATIC
  ports:
  - {number: 80, name: http, protocol: HTTP, targetPort: <levels>}
  - {number: 8080, name: http-alt, protocol: HTTP, targetPort: <levels>}
  endpoints: [{address: 127.0.0.1}]
"""


@pytest.fixture(scope="module", name="mesh")
def run(background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    text = "".join(
        [
            *(
                service_entry(name)
                + destination_rule(name, f"trafficPolicy:\n  connectionPool:\n    {pool}\n")
                for name, pool in POOLS.items()
            ),
            service_entry("silent"),
            destination_rule("silent", NO_CONNECTION),
            virtual_service("patience", ONCE),
            virtual_service("retrying", RETRIED),
            LEVELS,
            destination_rule("levels", BY_PORT_AND_SUBSET),
            virtual_service("by-subset", SUBSET),
        ]
    )
    providers = {name: Provider(respond(200, b"ok")) for name in (*POOLS, "levels")}
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # accepts, and says nothing
        values = {"silent": silent.getsockname()[1]}
        folder = tmp_path_factory.mktemp("pool")
        yield stack.enter_context(running(background, setting, folder, text, providers, values=values))


@pytest.fixture(name="threads")
def pooled() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def long(mesh: Mesh, threads: ThreadPoolExecutor, host: str) -> Future[Answer]:
    return threads.submit(mesh.ask, f"{host}.test/long")


def assert_overflow(answer: Answer) -> None:
    assert (answer.status, answer.body) == (503, OVERFLOW)
    assert answer.headers["x-envoy-overloaded"] == "true"


def test_http1_max_pending_requests(mesh: Mesh, background: Background, threads: ThreadPoolExecutor) -> None:
    """One has the connection and one waits for it: the third gets 503 at once."""
    provider = mesh.providers["pending"]
    gate = Gate(background, respond(200, b"late"))
    provider.behaviour = gate
    first = long(mesh, threads, "pending")
    wait_until(lambda: gate.waiting, "the first request is there")
    others = [long(mesh, threads, "pending") for _ in range(2)]
    done, pending = wait(others, DEADLINE_S, FIRST_COMPLETED)
    gate.open()
    assert_overflow(done.pop().result())
    assert [future.result().body for future in (first, *pending)] == [b"late"] * 2
    assert provider.connections == 1
    assert mesh.told("pending.test", "503 UO")


def test_max_connections(mesh: Mesh, background: Background, threads: ThreadPoolExecutor) -> None:
    """All have their turn on the one that there may be; without a limit each has its own."""
    for host, connections in (("queue", 1), ("unlimited", 5)):
        gate = Gate(background, respond(200, b"late"))
        mesh.providers[host].behaviour = gate
        requests = [long(mesh, threads, host) for _ in range(5)]
        wait_until(lambda: gate.waiting == connections, "as many as may be are there")  # noqa: B023
        gate.open()
        assert [request.result().body for request in requests] == [b"late"] * 5
        assert mesh.providers[host].connections == connections


def test_http2_max_requests(mesh: Mesh, background: Background, threads: ThreadPoolExecutor) -> None:
    """It counts requests over HTTP/1 too (measured on Envoy): the second one at once gets 503."""
    gate = Gate(background, respond(200, b"late"))
    mesh.providers["requests"].behaviour = gate
    first = long(mesh, threads, "requests")
    wait_until(lambda: gate.waiting, "the first request is there")
    second = mesh.ask("requests.test")
    gate.open()
    assert_overflow(second)
    assert first.result().body == b"late"
    assert mesh.told("requests.test", "503 UO")
    assert mesh.ask("requests.test").body == b"late"


def test_max_retries(mesh: Mesh, background: Background, threads: ThreadPoolExecutor) -> None:
    """While one retry is on its way there is none for others: they get what the provider said."""
    gate = Gate(background, respond(200, b"late"))

    async def fail_first(exchange: Exchange) -> None:
        is_first = exchange.request.header("x-envoy-attempt-count") == "1"
        behaviour: Behaviour = respond(500, b"five") if is_first else gate
        await behaviour(exchange)

    mesh.providers["retries"].behaviour = fail_first
    first = long(mesh, threads, "retrying")
    wait_until(lambda: gate.waiting, "the first retry is there")
    second = mesh.ask("retrying.test/long")
    gate.open()
    assert (second.status, second.body) == (500, b"five")
    assert mesh.told("retrying.test", "500 UO")
    assert first.result().body == b"late"
    assert mesh.ask("retrying.test/long").body == b"late"


@pytest.mark.parametrize(
    ("url", "provider", "connections"),
    [
        pytest.param("per-connection.test", "per-connection", 3, id="of-the-rule"),
        pytest.param("levels.test", "levels", 6, id="of-another-rule"),
        pytest.param("levels.test:8080", "levels", 1, id="not-of-a-port-with-an-entry-of-its-own"),
        pytest.param("by-subset.test", "levels", 2, id="of-a-subset"),
    ],
)
def test_max_requests_per_connection(mesh: Mesh, url: str, provider: str, connections: int) -> None:
    """After so many requests a connection is not used again; six requests show it."""
    before = mesh.providers[provider].connections
    assert mesh.tally(url, 6) == {"ok": 6}
    assert mesh.providers[provider].connections - before == connections


@pytest.mark.parametrize("name", ["idle-http", "idle-tcp", "duration"])
def test_the_end_of_a_connection(mesh: Mesh, name: str) -> None:
    """The proxy closes one that is idle, or old, for so long; with Istio's hour it would stay."""
    provider = mesh.providers[name]

    async def watch(exchange: Exchange) -> None:
        await respond(200, b"ok")(exchange)
        await exchange.hung_up()

    provider.behaviour = watch
    for number in count(1):
        assert mesh.ask(f"{name}.test").body == b"ok"
        wait_until(provider.exchanges[-1].ended.is_set, "the proxy has closed the connection")
        assert provider.connections == number
        if number == 2:
            break


def test_connect_timeout(mesh: Mesh) -> None:
    """200 ms for TCP and TLS together, where Istio's default is ten seconds."""
    began = seconds()
    answer = mesh.ask("patience.test")
    assert 0.2 <= seconds() - began < 8
    assert answer.status == 503
    assert answer.body.endswith(b"headers. reset reason: connection timeout")
    assert mesh.told("patience.test", "503 UF")
