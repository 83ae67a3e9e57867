"""From a request to a rule, its destination, its target and its fallback."""

import random

import pytest

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import (
    Match,
    MatchType,
    Redirect,
    Route,
    RouteDestination,
    StringMatch,
    VirtualHost,
)
from llm_fallback.config.snapshot import Service, Snapshot, Target
from llm_fallback.matching import RequestFacts
from llm_fallback.outlier import Endpoint
from llm_fallback.routing import Matched, Routed, choose_destination, find_route, find_target


class Draw(random.Random):
    """Randomness that always draws the same number."""

    def __init__(self, number: float) -> None:
        super().__init__(0)
        self.number = number

    def random(self) -> float:
        return self.number


def target(host: str, port: int, subset: str | None = None) -> Target:
    return Target(host, port, (Endpoint(host, port),), subset=subset)


A80 = target("a.com", 80)
A80_V1 = target("a.com", 80, "v1")
A8080 = target("a.com", 8080)
B443 = target("b.com", 443)
SNAPSHOT = Snapshot(
    {
        "a.com": Service("a.com", {(80, None): A80, (80, "v1"): A80_V1, (8080, None): A8080}),
        "b.com": Service("b.com", {(443, None): B443}),
    }
)


@pytest.mark.parametrize(
    ("place", "listener_port", "chosen"),
    [
        pytest.param(Destination("a.com", 80), 8080, A80, id="the-port-of-the-route"),
        pytest.param(Destination("a.com"), 80, A80, id="no-port-takes-the-clients"),
        pytest.param(Destination("a.com"), 8080, A8080, id="no-port-takes-the-clients-other"),
        pytest.param(Destination("b.com"), 80, B443, id="no-port-takes-the-only-one"),
        pytest.param(Destination("a.com"), 81, None, id="the-client-used-a-port-that-is-none"),
        pytest.param(Destination("a.com", 81), 80, None, id="the-route-names-a-port-that-is-none"),
        pytest.param(Destination("c.com"), 80, None, id="unknown-host"),
        pytest.param(Destination("a.com", 80, "v1"), 80, A80_V1, id="subset"),
        pytest.param(Destination("a.com", subset="v1"), 80, A80_V1, id="subset-on-the-clients-port"),
        pytest.param(Destination("a.com", 80, "v2"), 80, None, id="unknown-subset"),
        pytest.param(Destination("b.com", subset="v1"), 443, None, id="subset-of-another-host"),
    ],
)
def test_ports_and_subsets(place: Destination, listener_port: int, chosen: Target | None) -> None:
    """A route's port, else the host's only one, else the one that the client called; also of a fallback."""
    primary = RouteDestination(place)
    with_fallback = RouteDestination(Destination("a.com", 80), fallback=place)

    assert find_target(SNAPSHOT, place, listener_port) is chosen
    for destination, expected in (
        (primary, Routed(primary, chosen, None)),
        (with_fallback, Routed(with_fallback, A80, chosen)),
    ):
        routed = choose_destination(
            SNAPSHOT, (destination,), listener_port=listener_port, rng=random.Random(1)
        )
        assert routed == expected


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
    first = RouteDestination(Destination("a.com", 80), 1, Destination("b.com"))
    second = RouteDestination(Destination("b.com"), 3, Destination("a.com", 8080))

    routed = choose_destination(SNAPSHOT, (first, second), listener_port=80, rng=Draw(draw))

    assert routed == (Routed(first, A80, B443) if chosen is A80 else Routed(second, B443, A8080))


def test_one_destination_draws_nothing() -> None:
    """Whatever its weight."""
    rng = random.Random(7)
    before = rng.getstate()

    choose_destination(SNAPSHOT, (RouteDestination(Destination("a.com"), 30),), listener_port=80, rng=rng)

    assert rng.getstate() == before


def facts(path: str = "/") -> RequestFacts:
    return RequestFacts("POST", "http", "a.com", path, "", (), 80)


def route(name: str, *matches: Match) -> Route:
    return Route(name, "vs.yaml:1 VirtualService/vs", Redirect(), matches)


def rules(*routes: Route) -> VirtualHost:
    return VirtualHost("vs", routes)


OWN, DEEP, WIDE = route("own"), route("deep"), route("wide")
MANAGED = Snapshot(
    virtual_hosts={"a.com": rules(OWN), "x.b.com": rules(OWN)},
    wildcards={".b.com": rules(WIDE), ".x.b.com": rules(DEEP)},
)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        pytest.param("a.com", OWN, id="its-own"),
        pytest.param("A.COM", OWN, id="in-any-case"),
        pytest.param("x.b.com", OWN, id="its-own-before-a-wildcard"),
        pytest.param("y.b.com", WIDE, id="wildcard"),
        pytest.param("Y.B.com", WIDE, id="wildcard-in-any-case"),
        pytest.param("z.y.b.com", WIDE, id="several-labels"),
        pytest.param("y.x.b.com", DEEP, id="the-longest-wildcard"),
    ],
)
def test_hosts(host: str, found: Route) -> None:
    """Exact, else the longest wildcard, compared without case (Envoy's order)."""
    assert MANAGED.manages(host)
    assert find_route(MANAGED, host, facts()) == Matched(found, None)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("c.com", id="unknown"),
        pytest.param("b.com", id="a-wildcard-does-not-match-its-own-suffix"),
        pytest.param(".b.com", id="nor-an-empty-label"),
        pytest.param("xb.com", id="nor-part-of-a-label"),
        pytest.param("", id="nothing"),
    ],
)
def test_hosts_that_are_not_managed(host: str) -> None:
    """They are left to mitmproxy."""
    assert not MANAGED.manages(host)
    with pytest.raises(LookupError):
        find_route(MANAGED, host, facts())


def test_a_star_is_for_every_host() -> None:
    """After all others."""
    snapshot = Snapshot(virtual_hosts={"a.com": rules(OWN)}, wildcards={"": rules(WIDE)})

    found = [find_route(snapshot, host, facts()) for host in ("a.com", "anything")]

    assert found == [Matched(OWN, None), Matched(WIDE, None)]


def test_the_first_rule_that_holds() -> None:
    """In their order; the match that held comes with it. Nothing may hold: the request is then nobody's."""
    chat = Match(uri=StringMatch(MatchType.PREFIX, "/chat"))
    deep = Match(uri=StringMatch(MatchType.EXACT, "/chat/deep"))
    first, second = route("first", deep), route("second", Match(port=81), chat)
    snapshot = Snapshot(virtual_hosts={"a.com": rules(first, second)})

    found = [find_route(snapshot, "a.com", facts(path)) for path in ("/chat/deep", "/chat", "/")]

    assert found == [Matched(first, deep), Matched(second, chat), None]
