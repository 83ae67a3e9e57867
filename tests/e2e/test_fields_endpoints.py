"""What a ServiceEntry says of hosts, ports and endpoints, and how a DestinationRule has one chosen."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import http_client
from tests.support.provider import Provider, respond
from tests.support.proxy import Setting
from tests.support.yaml_mesh import (
    Gate,
    Mesh,
    destination_rule,
    named,
    resource,
    running,
    service_entry_of,
    virtual_service,
)

NAMES = ("red", "green", "blue")
SEVERAL = """
hosts: [first.test, second.test]
location: MESH_EXTERNAL
exportTo: ["*"]
resolution: STATIC
ports:
- number: 80
  name: http
  protocol: HTTP
  targetPort: <red>
- number: 8080
  name: http-alt
  protocol: HTTP
- number: 443
  name: https
  protocol: HTTPS
  targetPort: <secured>
- number: <green>
  name: http-same
  protocol: HTTP
endpoints:
- address: 127.0.0.1
  ports:
    http-alt: <blue>
"""
DNS = """
hosts: [dns.test]
resolution: DNS
ports: [{number: 80, name: http, protocol: HTTP, targetPort: <red>}]
endpoints:
- address: localhost
"""
LOGICAL_DNS = """
hosts: [logical-dns.test]
resolution: DNS_ROUND_ROBIN
ports: [{number: 80, name: http, protocol: HTTP, targetPort: <red>}]
endpoints:
- address: localhost
"""
OWN_NAME = """
hosts: [localhost]
resolution: DNS
ports: [{number: 80, name: http, protocol: HTTP, targetPort: <green>}]
"""
THREE = """
- address: 127.0.0.1
  ports: {http: <red>}
- address: 127.0.0.1
  ports: {http: <green>}
- address: 127.0.0.1
  ports: {http: <blue>}
"""
TWO = """
- address: 127.0.0.1
  ports: {http: <red>}
- address: 127.0.0.1
  ports: {http: <green>}
"""
WEIGHTED = """
- address: 127.0.0.1
  ports: {http: <red>}
  weight: 3
- address: 127.0.0.1
  ports: {http: <green>}
  weight: 1
"""
POLICIES = {
    "round-robin": "simple: ROUND_ROBIN",
    "random": "simple: RANDOM",
    "by-header": "consistentHash: {httpHeaderName: x-user}",
    "by-query": "consistentHash: {httpQueryParameterName: user, ringHash: {minimumRingSize: 256}}",
    "by-maglev": "consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 307}}",
    "by-address": "consistentHash: {useSourceIp: true}",
    "by-cookie": "consistentHash: {httpCookie: {name: seat, path: /, ttl: 1h}}",
    "by-known-cookie": "consistentHash: {httpCookie: {name: seat}}",
}
"""Over three endpoints, by the first label of the host."""


RETRIES = """
- match:
  - uri:
      prefix: /same
  retries:
    attempts: 1
    retryOn: 5xx
    backoff: 1ms
    retryIgnorePreviousHosts: false
  route:
  - destination: {host: half-broken.test}
- retries:
    attempts: 1
    retryOn: 5xx
    backoff: 1ms
  route:
  - destination: {host: half-broken.test}
"""
HALF_BROKEN = """
- address: 127.0.0.1
  ports: {http: <red>}
- address: 127.0.0.1
  ports: {http: <broken>}
"""


@pytest.fixture(scope="module", name="mesh")
def run(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    round_robin = "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}"
    text = "".join(
        [
            *(
                service_entry_of(name, THREE)
                + destination_rule(name, f"trafficPolicy:\n  loadBalancer:\n    {policy}\n")
                for name, policy in POLICIES.items()
            ),
            service_entry_of("weighted", WEIGHTED),
            destination_rule("weighted", round_robin),
            service_entry_of("least-request", TWO),
            destination_rule("least-request", "trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}"),
            service_entry_of("half-broken", HALF_BROKEN),
            destination_rule("half-broken", "trafficPolicy: {loadBalancer: {simple: RANDOM}}"),
            virtual_service("retrying", RETRIES),
            resource("ServiceEntry", "several", SEVERAL),
            resource("ServiceEntry", "dns", DNS),
            resource("ServiceEntry", "logical-dns", LOGICAL_DNS),
            resource("ServiceEntry", "localhost", OWN_NAME),
        ]
    )
    certificate = authority.issue("first.test", "second.test")
    providers = named(*NAMES) | {
        "secured": Provider(respond(200, b"secured"), certificate),
        "broken": Provider(respond(500, b"broken")),
    }
    with running(background, setting, tmp_path_factory.mktemp("endpoints"), text, providers) as mesh:
        yield mesh


@pytest.mark.parametrize("host", ["first.test", "second.test"])
@pytest.mark.parametrize(
    ("url", "body"),
    [
        pytest.param("%s", b"red", id="targetPort"),
        pytest.param("%s:8080", b"blue", id="a-port-of-the-endpoint"),
        pytest.param("https://%s", b"secured", id="tls-on-both-sides"),
    ],
)
def test_the_ports_of_several_hosts(mesh: Mesh, host: str, url: str, body: bytes) -> None:
    """Each host has all the ports; that with HTTPS is dialled with TLS, as its clients dial it."""
    assert mesh.ask(url % host).body == body
    if body == b"secured":
        assert mesh.providers["secured"].requests[-1].sni == host


def test_a_port_without_target_port(mesh: Mesh) -> None:
    """The same number is dialled."""
    assert mesh.ask(f"first.test:{mesh.providers['green'].port}").body == b"green"


def test_resolution_dns(mesh: Mesh) -> None:
    """Each address that the name has is an endpoint."""
    assert mesh.ask("dns.test").body == b"red"
    assert f" 127.0.0.1:{mesh.providers['red'].port}: 200 in " in mesh.told("dns.test", 200)


def test_resolution_dns_round_robin(mesh: Mesh) -> None:
    """The name is the endpoint."""
    assert mesh.ask("logical-dns.test").body == b"red"
    assert f" localhost:{mesh.providers['red'].port}: 200 in " in mesh.told("logical-dns.test", 200)


def test_resolution_dns_without_endpoints(mesh: Mesh) -> None:
    """The host's own name is resolved."""
    assert mesh.ask("localhost").body == b"green"


def test_round_robin(mesh: Mesh) -> None:
    """One after the other."""
    bodies = [mesh.ask("round-robin.test").body.decode() for _ in range(9)]
    assert sorted(bodies[:3]) == sorted(NAMES)
    assert bodies == bodies[:3] * 3


def test_random(mesh: Mesh) -> None:
    """Not in turn; of 60 requests none of three is left out but once in ten thousand million times."""
    bodies = [mesh.ask("random.test").body.decode() for _ in range(60)]
    assert set(bodies) == set(NAMES)
    assert bodies != bodies[:3] * 20


def test_endpoint_weights(mesh: Mesh) -> None:
    """Three of four requests, give or take one: the turn does not begin where we do."""
    tally = mesh.tally("weighted.test", 40)
    assert tally["red"] + tally["green"] == 40
    assert 29 <= tally["red"] <= 31


def test_least_request(mesh: Mesh, background: Background) -> None:
    """Of two endpoints, the busy one gets a request only if both draws fall on it: one of four.

    Of 400 requests that is 100; with an even hand it would be 200. The line between is five standard
    deviations from either.
    """
    gates = {name: Gate(background, respond(200, name.encode())) for name in ("red", "green")}
    before = {name: mesh.providers[name].behaviour for name in gates}
    for name, gate in gates.items():
        mesh.providers[name].behaviour = gate
    with ThreadPoolExecutor() as threads:
        url = "http://least-request.test/long"
        long = threads.submit(mesh.client.get, url, timeout=None)  # it takes as long as all the others
        try:
            wait_until(lambda: any(gate.waiting for gate in gates.values()), "the long request is there")
            tally = mesh.tally("least-request.test", 400)
        finally:
            for gate in gates.values():
                gate.open()
        occupied = long.result().text
    for name, behaviour in before.items():
        mesh.providers[name].behaviour = behaviour
    assert 50 < tally[occupied] < 150


@pytest.mark.parametrize("host", ["by-header.test", "by-maglev.test"])
def test_consistent_hash_of_a_header(mesh: Mesh, host: str) -> None:
    """A user stays at an endpoint; users are spread."""
    users = [f"user-{number}" for number in range(30)]
    first = {user: mesh.ask(host, headers={"x-user": user}).body for user in users}
    again = {user: mesh.ask(host, headers={"x-user": user}).body for user in users}
    assert again == first
    assert len(set(first.values())) > 1


def test_consistent_hash_of_a_query_parameter(mesh: Mesh) -> None:
    first = [mesh.ask(f"by-query.test/?a=1&user={number}").body for number in range(30)]
    again = [mesh.ask(f"by-query.test/?user={number}&a=2").body for number in range(30)]
    assert again == first
    assert len(set(first)) > 1


def test_consistent_hash_of_the_address(mesh: Mesh) -> None:
    """All come from here."""
    assert len(mesh.tally("by-address.test", 12)) == 1


def test_consistent_hash_of_a_cookie(mesh: Mesh) -> None:
    """A client without it is given one, and stays where that leads."""
    with http_client(mesh.proxy) as client:
        first = client.get("http://by-cookie.test/")
        cookie = first.headers["set-cookie"]
        assert cookie.startswith('seat="')
        assert cookie.endswith("; Max-Age=3600; Path=/; HttpOnly")
        following = [client.get("http://by-cookie.test/") for _ in range(10)]
    assert {response.content for response in following} == {first.content}
    assert not [response for response in following if "set-cookie" in response.headers]


def test_consistent_hash_of_a_cookie_that_is_the_clients_affair(mesh: Mesh) -> None:
    """Without a ttl none is given; those that come are followed."""
    assert "set-cookie" not in mesh.ask("by-known-cookie.test").headers
    seats = [{"cookie": f"theme=dark; seat={number}"} for number in range(30)]
    first = [mesh.ask("by-known-cookie.test", headers=seat).body for seat in seats]
    again = [mesh.ask("by-known-cookie.test", headers=seat).body for seat in seats]
    assert again == first
    assert len(set(first)) > 1


def test_retries_avoid_the_endpoint_that_failed(mesh: Mesh) -> None:
    """Six draws find another one but once in 64 times; a single draw finds it half the time.

    Of 200 requests half are retried: 1.6 fail twice, or 50 where the endpoint may be the same.
    """
    assert mesh.tally("retrying.test", 200)["broken"] < 20
    assert mesh.tally("retrying.test/same", 200)["broken"] > 20
