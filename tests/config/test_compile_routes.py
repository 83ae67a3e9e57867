"""The rules of each host: which resource they are from, in what order, and to which destinations."""

import pytest

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import RouteDestination
from llm_fallback.config.snapshot import Snapshot
from tests.config.compiled import snapshot_of
from tests.config.conftest import Load
from tests.config.written import entry, llm_route, provider, to, virtual_service


def destinations(load_yaml: Load, http: str) -> tuple[RouteDestination, ...]:
    (route,) = (
        snapshot_of(load_yaml, provider() + entry() + virtual_service("b.com", http=http))
        .virtual_hosts["b.com"]
        .routes
    )
    assert isinstance(route.action, tuple)
    return route.action


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        pytest.param("[{destination: {host: a.com}}]", [("a.com", 1)], id="one"),
        pytest.param("[{destination: {host: a.com}, weight: 0}]", [("a.com", 1)], id="one-of-weight-0"),
        pytest.param("[{destination: {host: a.com}, weight: 30}]", [("a.com", 30)], id="one-of-weight-30"),
        pytest.param(
            "[{destination: {host: a.com}, weight: 1}, {destination: {host: b.com}, weight: 3}]",
            [("a.com", 1), ("b.com", 3)],
            id="two",
        ),
        pytest.param(
            "[{destination: {host: a.com}}, {destination: {host: b.com}, weight: 3}]",
            [("b.com", 3)],
            id="no-weight-is-0",
        ),
    ],
)
def test_weights(load_yaml: Load, route: str, expected: list[tuple[str, int]]) -> None:
    """A destination alone gets everything; among several, weight 0 gets nothing."""
    assert destinations(load_yaml, f"[{{route: {route}}}]") == tuple(
        RouteDestination(Destination(host), weight) for host, weight in expected
    )


def test_each_destination_has_its_own_fallback(load_yaml: Load) -> None:
    """With the port that it names, if it names one."""
    http = (
        "[{route: [{destination: {host: B.com, port: {number: 80}}, weight: 1,"
        " fallback: {target: {host: A.com, port: {number: 80}}}}, {destination: {host: a.com}, weight: 1}]}]"
    )

    assert destinations(load_yaml, http) == (
        RouteDestination(Destination("b.com", 80), 1, Destination("a.com", 80)),
        RouteDestination(Destination("a.com"), 1, None),
    )


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        pytest.param("", "", "first", id="no-times-takes-the-order-of-the-files"),
        pytest.param("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "second", id="the-older-one"),
        pytest.param("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "first", id="the-older-one-comes-first"),
        pytest.param("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "first", id="equally-old"),
        pytest.param("2025-01-01T05:00:00+08:00", "2025-01-01T00:00:00Z", "first", id="east-of-here"),
    ],
)
def test_the_oldest_virtual_service_wins(load_yaml: Load, first: str, second: str, winner: str) -> None:
    """Sidecars do not merge; the other one is reported."""
    text = entry() + "".join(
        virtual_service(
            "b.com",
            http=to("b.com"),
            name=name,
            metadata=f"creationTimestamp: {created}" if created else "",
        )
        for name, created in (("first", first), ("second", second))
    )

    loaded = load_yaml(text)

    assert loaded.snapshot is not None
    assert loaded.snapshot.virtual_hosts["b.com"].name == f"VirtualService/{winner}"
    loser = "second" if winner == "first" else "first"
    assert [(f.resource, f.code) for f in loaded.findings] == [(f"VirtualService/{loser}", "shadowed-host")]


def test_names_of_routes(load_yaml: Load) -> None:
    """The rule's, else the VirtualService's; and where it was written."""
    named = to("b.com").replace("{route", "{name: chat, route")
    snapshot = snapshot_of(
        load_yaml,
        entry("b.com, c.com")
        + virtual_service("b.com", http=named)
        + virtual_service("c.com", http=to("b.com"), name="other"),
    )

    assert [
        (route.name, route.source) for rules in snapshot.virtual_hosts.values() for route in rules.routes
    ] == [
        ("chat", "a.yaml:14 VirtualService/vs"),
        ("other", "a.yaml:21 VirtualService/other"),
    ]


def test_hosts_that_only_a_virtual_service_names_are_aliases(load_yaml: Load) -> None:
    """Managed, and sent where the route says."""
    snapshot = snapshot_of(load_yaml, entry() + virtual_service("Chat.Internal", http=to("b.com")))

    (route,) = snapshot.virtual_hosts["chat.internal"].routes
    assert route.action == (RouteDestination(Destination("b.com")),)
    assert [snapshot.manages(host) for host in ("chat.internal", "CHAT.internal", "other")] == [
        True,
        True,
        False,
    ]


def names(snapshot: Snapshot, host: str) -> list[str]:
    """The rules of a host."""
    found = snapshot.virtual_host(host)
    return [route.name for route in found.routes] if found else []


def test_rules_keep_their_order(load_yaml: Load) -> None:
    """First match first."""
    rule = "name: {}, match: [{{uri: {{prefix: /{}}}}}], route: [{{destination: {{host: b.com}}}}]"
    http = "[" + ", ".join("{" + rule.format(name, name) + "}" for name in "cab") + "]"

    assert names(snapshot_of(load_yaml, entry() + virtual_service("b.com", http=http)), "b.com") == list(
        "cab"
    )


def test_wildcards(load_yaml: Load) -> None:
    """For hosts that nothing describes, and for those that are described but not routed by name."""
    text = (
        entry("x.b.com, c.com, y.z.b.com")
        + virtual_service("'*.b.com'", http=to("c.com"), name="wide")
        + virtual_service("'*.z.b.com'", http=to("c.com"), name="near")
        + virtual_service("own.b.com", http=to("c.com"), name="own")
    )

    snapshot = snapshot_of(load_yaml, text)

    found = {
        host: names(snapshot, host)
        for host in ("x.b.com", "q.b.com", "y.z.b.com", "q.z.b.com", "own.b.com", "c.com", "b.com")
    }
    assert found == {
        "x.b.com": ["wide"], "q.b.com": ["wide"], "y.z.b.com": ["near"], "q.z.b.com": ["near"],
        "own.b.com": ["own"], "c.com": ["default"], "b.com": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gateways", "applies"),
    [
        pytest.param("[]", True, id="none"),
        pytest.param("[mesh]", True, id="mesh"),
        pytest.param("[gw, mesh]", True, id="among-others"),
        pytest.param("[gw]", False, id="a-gateways"),
    ],
)
def test_gateways(load_yaml: Load, gateways: str, *, applies: bool) -> None:
    """What is for gateways only is no rule of a sidecar."""
    text = entry() + virtual_service("b.com", http=to("b.com"), gateways=gateways)

    assert names(snapshot_of(load_yaml, text), "b.com") == (["vs"] if applies else ["default"])


@pytest.mark.parametrize(
    ("match", "workload", "found"),
    [
        pytest.param("{sourceLabels: {app: sleep}}", {"app": "sleep"}, ["special", "rest"], id="its-own"),
        pytest.param("{sourceLabels: {app: sleep}}", {"app": "other"}, ["rest"], id="anothers"),
        pytest.param("{sourceLabels: {app: sleep}}", None, ["rest"], id="nobodys"),
        pytest.param("{sourceNamespace: default}", None, ["special", "rest"], id="its-namespace"),
        pytest.param("{sourceNamespace: prod}", None, ["rest"], id="another-namespace"),
        pytest.param("{gateways: [mesh]}", None, ["special", "rest"], id="mesh"),
        pytest.param("{gateways: [gw]}", None, ["rest"], id="a-gateways"),
        pytest.param("{gateways: [gw]}, {port: 80}", None, ["special", "rest"], id="one-alternative-is-left"),
    ],
)
def test_rules_for_others(
    load_yaml: Load, match: str, workload: dict[str, str] | None, found: list[str]
) -> None:
    """A rule of which no alternative applies here is left out; it does not become one for everybody."""
    http = f"[{{name: special, match: [{match}], {to('b.com')[2:-2]}}}, {{name: rest, {to('b.com')[2:-2]}}}]"

    snapshot = snapshot_of(load_yaml, entry() + virtual_service("b.com", http=http), workload=workload)

    assert names(snapshot, "b.com") == found
    (*_, rest) = snapshot.virtual_hosts["b.com"].routes
    assert rest.matches == ()


def test_an_llm_route(load_yaml: Load) -> None:
    """Rules by header, weighted providers, and the name by which providers' settings are chosen."""
    rules = (
        "[{name: vip, matches: [{headers: {User-Type: {exact: vip}}}],"
        " backendRefs: [{providerHost: a.com, weight: 1}, {providerHost: b.com, weight: 3},"
        " {providerHost: b.com, weight: 0}]},"
        " {backendRefs: [{providerHost: b.com, hostRewrite: c.com}]}]"
    )
    text = provider() + provider("b.com", name="b") + llm_route(rules=rules)

    first, second = snapshot_of(load_yaml, text).virtual_hosts["a.com"].routes

    assert first.action == (
        RouteDestination(Destination("a.com"), 1),
        RouteDestination(Destination("b.com"), 3),
    )
    assert second.action == (RouteDestination(Destination("b.com"), 1, authority="c.com"),)
    assert [(r.name, r.llm_rule) for r in (first, second)] == [("vip", "vip"), ("lr", None)]
    (match,) = first.matches
    assert [(name, wanted.value) for name, wanted in match.headers.items()] == [("user-type", "vip")]
    assert (first.source, match.source) == ("a.yaml:19 LLMRoute/lr", "a.yaml:19")
    assert (second.matches, first.is_weighted, second.is_weighted) == ((), True, False)
