"""Where a VirtualService's rule sends requests: weights, fallbacks, ports, subsets, and what is not there."""

import socket
from collections.abc import Iterator

import pytest

from tests.support.background import Background
from tests.support.provider import Provider, respond
from tests.support.proxy import Setting
from tests.support.yaml_mesh import (
    Mesh,
    destination_rule,
    named,
    resource,
    running,
    service_entry,
    service_entry_of,
    virtual_service,
)

WEIGHTS = """
- route:
  - destination: {host: red.test}
    weight: 3
    headers:
      request:
        set:
          x-version: red
  - destination: {host: green.test}
    weight: 1
    headers:
      response:
        set:
          x-version: green
  - destination: {host: blue.test}
    weight: 0
"""
FALLBACKS = """
- route:
  - destination: {host: gone.test}
    weight: 50
    fallback:
      target: {host: green.test}
    headers:
      request:
        set:
          x-destination: gone
  - destination: {host: red.test}
    weight: 50
    fallback:
      target: {host: blue.test}
"""
FALLBACK_TO_A_SUBSET = """
- route:
  - destination:
      host: gone.test
      port: {number: 80}
    fallback:
      case: unhealthy
      target:
        host: versions.test
        port: {number: 80}
        subset: v2
"""
ALL_ARE_GONE = """
- route:
  - destination: {host: gone.test}
    fallback:
      target: {host: also-gone.test}
"""
SUBSETS = """
- match:
  - uri:
      prefix: /v1
  route:
  - destination:
      host: versions.test
      subset: v1
- match:
  - uri:
      prefix: /v2
  route:
  - destination:
      host: versions.test
      subset: v2
- match:
  - uri:
      prefix: /gold
  route:
  - destination:
      host: versions.test
      subset: gold
- route:
  - destination: {host: versions.test}
"""
VERSIONS = """
- address: 127.0.0.1
  ports: {http: <red>}
  labels: {version: v1, tier: basic}
- address: 127.0.0.1
  ports: {http: <green>}
  labels: {version: v2, tier: basic}
- address: 127.0.0.1
  ports: {http: <blue>}
  labels: {version: v2, tier: gold}
"""
VERSIONS_RULE = """
trafficPolicy:
  loadBalancer: {simple: ROUND_ROBIN}
subsets:
- name: v1
  labels: {version: v1}
- name: v2
  labels: {version: v2}
- name: gold
  labels: {version: v2, tier: gold}
"""
EJECT_AT_ONCE = """
trafficPolicy:
  outlierDetection:
    consecutive5xxErrors: 1
    baseEjectionTime: 300s
    maxEjectionPercent: 100
"""
PORTS = """
hosts: [ports.test]
resolution: STATIC
ports:
- {number: 80, name: http, protocol: HTTP, targetPort: <red>}
- {number: 8080, name: http-alt, protocol: HTTP, targetPort: <green>}
endpoints:
- address: 127.0.0.1
"""
PORTS_ROUTE = """
- match:
  - uri:
      prefix: /alt
  route:
  - destination:
      host: ports.test
      port: {number: 8080}
- match:
  - uri:
      prefix: /none
  route:
  - destination:
      host: ports.test
      port: {number: 81}
- route:
  - destination: {host: ports.test}
"""
OUTLIERS = """
trafficPolicy:
  outlierDetection:
    consecutive5xxErrors: 1
    baseEjectionTime: 300s
    maxEjectionPercent: 100
  portLevelSettings:
  - port: {number: 8080}
    connectionPool: {http: {maxRetries: 10}}
  - port: {number: 8081}
    outlierDetection:
      consecutive5xxErrors: 2
      baseEjectionTime: 300s
      maxEjectionPercent: 100
subsets:
- name: patient
  labels: {}
  trafficPolicy:
    outlierDetection:
      consecutive5xxErrors: 3
      baseEjectionTime: 300s
      maxEjectionPercent: 100
"""
OUTLIER_PORTS = """
hosts: [outliers.test]
resolution: STATIC
ports:
- {number: 80, name: first, protocol: HTTP, targetPort: <broken>}
- {number: 8080, name: second, protocol: HTTP, targetPort: <broken>}
- {number: 8081, name: third, protocol: HTTP, targetPort: <broken>}
endpoints:
- address: 127.0.0.1
"""
OUTLIER_ROUTE = """
- match:
  - uri:
      prefix: /patient
  route:
  - destination:
      host: outliers.test
      port: {number: 80}
      subset: patient
- route:
  - destination: {host: outliers.test}
"""


def to(destination: str) -> str:
    return f"- route:\n  - destination: {{{destination}}}\n"


@pytest.fixture(scope="module", name="mesh")
def run(background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    text = "".join(
        [
            virtual_service("weights", WEIGHTS),
            virtual_service("fallbacks", FALLBACKS),
            virtual_service("fallback-to-a-subset", FALLBACK_TO_A_SUBSET),
            virtual_service("all-are-gone", ALL_ARE_GONE),
            virtual_service("subsets", SUBSETS),
            virtual_service("unknown-host", to("host: nowhere.example")),
            virtual_service("unknown-subset", to("host: red.test, subset: v9")),
            virtual_service("empty-subset", to("host: versions.test, subset: none")),
            virtual_service("by-port", PORTS_ROUTE),
            virtual_service("by-outliers", OUTLIER_ROUTE),
            destination_rule("gone", EJECT_AT_ONCE),
            destination_rule("also-gone", EJECT_AT_ONCE),
            destination_rule("versions", VERSIONS_RULE + "- name: none\n  labels: {version: v3}\n"),
            destination_rule("outliers", OUTLIERS),
            resource("ServiceEntry", "ports", PORTS),
            resource("ServiceEntry", "outliers", OUTLIER_PORTS),
            service_entry_of("versions", VERSIONS),
            *(service_entry(name) for name in ("red", "green", "blue", "gone")),
            service_entry("also-gone", port="gone"),
        ]
    )
    providers = named("red", "green", "blue") | {"broken": Provider(respond(500, b"broken"))}
    folder = tmp_path_factory.mktemp("destinations")
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        values = {"gone": gone.getsockname()[1]}
        with running(background, setting, folder, text, providers, values=values) as mesh:
            yield mesh


def test_weights(mesh: Mesh) -> None:
    """Three to one, and nothing for a weight of 0: of 300, 225, give or take six standard deviations."""
    tally = mesh.tally("weights.test", 300)
    assert tally.keys() == {"red", "green"}
    assert 180 < tally["red"] < 270


def test_header_operations_of_one_destination(mesh: Mesh) -> None:
    """They are for its own requests and answers only."""
    before = {name: len(mesh.providers[name].requests) for name in ("red", "green")}
    answers = [mesh.ask("weights.test/headers") for _ in range(100)]
    seen = {
        name: {request.header("x-version") for request in mesh.providers[name].requests[count:]}
        for name, count in before.items()
    }
    assert seen == {"red": {"red"}, "green": {None}}
    assert {(a.body, a.headers.get("x-version")) for a in answers} == {(b"red", None), (b"green", "green")}


def test_each_destination_has_its_own_fallback(mesh: Mesh) -> None:
    """The one that is ejected hands its share over; the other one keeps its own."""
    assert mesh.tally("gone.test", 1) == {"no healthy upstream": 1}
    before = len(mesh.providers["green"].requests)
    tally = mesh.tally("fallbacks.test", 100)
    assert tally.keys() == {"green", "red"}
    requests = mesh.providers["green"].requests[before:]
    assert {request.header("x-destination") for request in requests} == {"gone"}
    assert " -> green.test:80 instead of gone.test:80" in mesh.proxy.log


def test_a_fallback_to_a_subset(mesh: Mesh) -> None:
    """Its endpoints only, in turn."""
    mesh.ask("gone.test")
    assert mesh.tally("fallback-to-a-subset.test", 10) == {"green": 5, "blue": 5}


def test_a_fallback_that_is_ejected_too(mesh: Mesh) -> None:
    """The request is the primary's."""
    mesh.ask("gone.test")
    mesh.ask("also-gone.test")
    answer = mesh.ask("all-are-gone.test")
    assert (answer.status, answer.body) == (503, b"no healthy upstream")
    assert "-> gone.test:80 |" in mesh.told("all-are-gone.test", "503 UH")


@pytest.mark.parametrize(
    ("path", "tally"),
    [
        ("v1", {"red": 6}),
        ("v2", {"green": 3, "blue": 3}),
        ("gold", {"blue": 6}),
        ("", {"red": 2, "green": 2, "blue": 2}),
    ],
)
def test_a_subset_has_the_endpoints_with_its_labels(mesh: Mesh, path: str, tally: dict[str, int]) -> None:
    """All of its labels; without a subset, all endpoints."""
    assert mesh.tally(f"subsets.test/{path}", 6) == tally


def test_a_subset_without_endpoints(mesh: Mesh) -> None:
    answer = mesh.ask("empty-subset.test")
    assert (answer.status, answer.body) == (503, b"no healthy upstream")
    assert mesh.told("empty-subset.test", "503 UH")


@pytest.mark.parametrize("url", ["unknown-host.test", "unknown-subset.test", "by-port.test/none"])
def test_a_destination_that_does_not_exist(mesh: Mesh, url: str) -> None:
    """503 without a body, flag NC, for hosts, subsets and ports."""
    answer = mesh.ask(url)
    assert (answer.status, answer.body) == (503, b"")
    assert mesh.told(url.partition("/")[0], "503 NC")


@pytest.mark.parametrize(
    ("url", "body"),
    [
        pytest.param("by-port.test/alt", b"green", id="the-one-that-the-rule-names"),
        pytest.param("by-port.test", b"red", id="the-client's"),
        pytest.param("by-port.test:8080", b"green", id="another-of-the-client's"),
        pytest.param("ports.test:8080", b"green", id="without-rules"),
        pytest.param("by-port.test:81", b"", id="one-that-the-host-has-not"),
    ],
)
def test_the_port_of_a_destination(mesh: Mesh, url: str, body: bytes) -> None:
    """Named, or else the client's."""
    assert mesh.ask(url).body == body


@pytest.mark.parametrize(
    ("url", "failures"),
    [
        pytest.param("outliers.test", 1, id="the-rule's"),
        pytest.param("outliers.test:8080", None, id="a-port's-without-detection"),
        pytest.param("outliers.test:8081", 2, id="a-port's-own"),
        pytest.param("by-outliers.test/patient", 3, id="a-subset's"),
    ],
)
def test_outlier_detection_of_a_port_or_subset(mesh: Mesh, url: str, failures: int | None) -> None:
    """A port's entry replaces the rule's detection, even by none; a subset's replaces it too."""
    count = 8 if failures is None else failures
    answers = [mesh.ask(url).body for _ in range(count + 2)]
    after = b"broken" if failures is None else b"no healthy upstream"
    assert answers == [b"broken"] * count + [after] * 2
