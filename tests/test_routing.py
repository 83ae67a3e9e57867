"""From a host to a route, its target and its fallback."""

import random

import pytest

from llm_fallback.config.snapshot import HostPort, Route, RouteDestination, Service, Snapshot, Target
from llm_fallback.outlier import Endpoint
from llm_fallback.routing import Routed, find_route


class Draw(random.Random):
    """Randomness that always draws the same number."""

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self.number = number

    def random(self) -> float:
        return self.number


def target(host: str, port: int) -> Target:
    return Target(host, port, (Endpoint(host, port),))


A80 = target("a.com", 80)
A8080 = target("a.com", 8080)
B443 = target("b.com", 443)
SERVICES = {"a.com": Service("a.com", {80: A80, 8080: A8080}), "b.com": Service("b.com", {443: B443})}


def route(*destinations: RouteDestination) -> Route:
    return Route("chat", "vs.yaml:1 VirtualService/vs", destinations)


def found(rule: Route, *, listener_port: int = 80, draw: float = 0.0, host: str = "a.com") -> Routed | None:
    snapshot = Snapshot(SERVICES, {"a.com": rule})
    return find_route(snapshot, host, listener_port=listener_port, rng=Draw(draw))


@pytest.mark.parametrize(
    ("place", "listener_port", "chosen"),
    [
        pytest.param(HostPort("a.com", 80), 8080, A80, id="the-port-of-the-route"),
        pytest.param(HostPort("a.com"), 80, A80, id="no-port-takes-the-clients"),
        pytest.param(HostPort("a.com"), 8080, A8080, id="no-port-takes-the-clients-other"),
        pytest.param(HostPort("b.com"), 80, B443, id="no-port-takes-the-only-one"),
        pytest.param(HostPort("a.com"), 81, None, id="the-client-used-a-port-that-is-none"),
        pytest.param(HostPort("a.com", 81), 80, None, id="the-route-names-a-port-that-is-none"),
        pytest.param(HostPort("c.com"), 80, None, id="unknown-host"),
    ],
)
def test_ports(place: HostPort, listener_port: int, chosen: Target | None) -> None:
    """A route's port, else the host's only one, else the one that the client called; also of a fallback."""
    primary = route(RouteDestination(place))
    with_fallback = route(RouteDestination(HostPort("a.com", 80), fallback=place))

    assert found(primary, listener_port=listener_port) == Routed(primary, chosen, None)
    assert found(with_fallback, listener_port=listener_port) == Routed(with_fallback, A80, chosen)


@pytest.mark.parametrize("host", ["a.com", "A.com", "A.COM"])
def test_hosts_are_compared_without_case(host: str) -> None:
    """As the mesh does."""
    rule = route(RouteDestination(HostPort("a.com", 80)))

    assert found(rule, host=host) == Routed(rule, A80, None)


def test_a_host_that_is_not_managed_has_no_route() -> None:
    """It is left to mitmproxy."""
    assert found(route(RouteDestination(HostPort("a.com"))), host="c.com") is None


@pytest.mark.parametrize(
    ("draw", "chosen"),
    [
        pytest.param(0.0, A80, id="start"),
        pytest.param(0.2, A80, id="within-the-first-quarter"),
        pytest.param(0.26, B443, id="after-it"),
        pytest.param(0.999, B443, id="end"),
    ],
)
def test_weights(draw: float, chosen: Target) -> None:
    """A share is weight / sum, and each destination brings its own fallback."""
    rule = route(
        RouteDestination(HostPort("a.com", 80), 1, HostPort("b.com")),
        RouteDestination(HostPort("b.com"), 3, HostPort("a.com", 8080)),
    )

    assert found(rule, draw=draw) == Routed(rule, chosen, B443 if chosen is A80 else A8080)
