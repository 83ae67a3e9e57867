"""What the mesh's control plane would generate from the resources."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_fallback.config import Snapshot, load
from llm_fallback.config.snapshot import HostPort, Provider, Route, RouteDestination, Target, Tls
from llm_fallback.outlier import Endpoint, OutlierPolicy
from tests.config.conftest import Load
from tests.config.written import CUSTOM, entry, openai, provider, rule, to, virtual_service

CONFIG = Path(__file__).parents[2] / "config"
PRIMARY = "asm-llm-provider-test.com"
DASHSCOPE = "dashscope.aliyuncs.com"
CHAT = "/compatible-mode/v1/chat/completions"


def fields(target: Target) -> dict[str, object]:
    """A target as a value: it compares by identity."""
    return {name: getattr(target, name) for name in Target.__slots__ if hasattr(target, name)}


def snapshot_of(load_yaml: Load, text: str, *, workload: dict[str, str] | None = None) -> Snapshot:
    loaded = load_yaml(text, workload=workload)
    assert loaded.snapshot is not None, [str(finding) for finding in loaded.findings]
    return loaded.snapshot


def target_of(load_yaml: Load, text: str, host: str = "b.com", port: int = 80) -> Target:
    return snapshot_of(load_yaml, text).services[host].targets[port]


def test_the_tutorial() -> None:
    """All of it: two targets, and the fallback from one to the other."""
    snapshot = load([CONFIG], {"dashscopeAPI_KEY": "secret"}).snapshot

    assert snapshot is not None
    assert {str(target): fields(target) for target in snapshot.targets()} == {
        f"{PRIMARY}:80": {
            "host": PRIMARY,
            "port": 80,
            "endpoints": (Endpoint(PRIMARY, 443),),
            "per_address": False,
            "tls": Tls("asm-llm-provider-test", (PRIMARY,), ca_file=None, verify=True),
            "outlier": OutlierPolicy(
                consecutive_5xx=1,
                consecutive_gateway=0,
                split_local_origin=False,
                consecutive_local_origin=5,
                interval_s=1.0,
                base_ejection_s=10.0,
                max_ejection_percent=100,
            ),
            "panic_threshold": 0,
            "connect_timeout_s": 10.0,
            "provider": Provider(
                "asm-llm-provider-test", CHAT, "test-model", stream=False, api_key=SecretStr("test-api-key")
            ),
        },
        f"{DASHSCOPE}:80": {
            "host": DASHSCOPE,
            "port": 80,
            "endpoints": (Endpoint(DASHSCOPE, 443),),
            "per_address": False,
            "tls": Tls(DASHSCOPE, (DASHSCOPE,), ca_file=None, verify=True),
            "outlier": None,
            "panic_threshold": 0,
            "connect_timeout_s": 10.0,
            "provider": Provider(
                "dashscope-qwen", CHAT, "qwen1.5-72b-chat", stream=False, api_key=SecretStr("secret")
            ),
        },
    }
    rules = (CONFIG / "vs.yaml").read_text().splitlines().index("  - name: fallback-route") + 1
    assert snapshot.routes == {
        PRIMARY: Route(
            "fallback-route",
            f"{CONFIG / 'vs.yaml'}:{rules} VirtualService/test-fallback-llm-vs",
            (RouteDestination(HostPort(PRIMARY, 80), 1, HostPort(DASHSCOPE)),),
        ),
        DASHSCOPE: Route("default", "generated", (RouteDestination(HostPort(DASHSCOPE)),)),
    }


def test_the_demo_changes_only_where_the_hosts_are() -> None:
    """Same TLS, same detection, same provider; other endpoints."""
    environment = {"dashscopeAPI_KEY": "s", "DEMO_PRIMARY_PORT": "18080", "DEMO_DASHSCOPE_PORT": "18443"}
    plain = load([CONFIG], environment).snapshot
    demo = load([CONFIG, CONFIG / "demo"], environment).snapshot

    assert plain is not None
    assert demo is not None
    for host, port in ((PRIMARY, 18080), (DASHSCOPE, 18443)):
        before, after = (fields(snapshot.services[host].targets[80]) for snapshot in (plain, demo))
        assert after == before | {"endpoints": (Endpoint("127.0.0.1", port),)}
    assert demo.routes == plain.routes


@pytest.mark.parametrize(
    ("policy", "tls", "outlier", "panic"),
    [
        pytest.param("{tls: {mode: SIMPLE}}", True, None, 0, id="of-the-rule"),
        pytest.param(
            "{tls: {mode: SIMPLE}, outlierDetection: {minHealthPercent: 50},"
            " portLevelSettings: [{port: {number: 81}}]}",
            True,
            OutlierPolicy(),
            50,
            id="an-entry-for-another-port",
        ),
        pytest.param(
            "{tls: {mode: SIMPLE}, outlierDetection: {minHealthPercent: 50},"
            " portLevelSettings: [{port: {number: 80}}]}",
            False,
            None,
            0,
            id="an-empty-entry-replaces-all",
        ),
        pytest.param(
            "{outlierDetection: {consecutive5xxErrors: 2},"
            " portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}",
            True,
            None,
            0,
            id="detection-is-not-inherited",
        ),
        pytest.param(
            "{tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80},"
            " outlierDetection: {consecutive5xxErrors: 2}}]}",
            False,
            OutlierPolicy(consecutive_5xx=2),
            0,
            id="nor-is-tls",
        ),
    ],
)
def test_port_level_settings_replace_the_rule(
    load_yaml: Load,
    policy: str,
    *,
    tls: bool,
    outlier: OutlierPolicy | None,
    panic: int,
) -> None:
    """Whole, and only for their port."""
    ports = "[{number: 80, name: a}, {number: 81, name: b}]"
    target = target_of(load_yaml, entry(ports=ports) + rule(trafficPolicy=policy))

    assert (target.tls is not None, target.outlier, target.panic_threshold) == (tls, outlier, panic)


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        pytest.param(
            "{}",
            OutlierPolicy(5, 0, interval_s=10.0, base_ejection_s=30.0, max_ejection_percent=10),
            id="envoys-defaults",
        ),
        pytest.param(
            "{maxEjectionPercent: 0}", OutlierPolicy(max_ejection_percent=10), id="0-percent-is-unset"
        ),
        pytest.param("{maxEjectionPercent: 1}", OutlierPolicy(max_ejection_percent=1), id="1-percent"),
        pytest.param("{consecutive5xxErrors: 0}", OutlierPolicy(consecutive_5xx=0), id="0-errors-is-off"),
        pytest.param("{consecutiveGatewayErrors: 3}", OutlierPolicy(consecutive_gateway=3), id="gateway"),
        pytest.param(
            "{splitExternalLocalOriginErrors: true}", OutlierPolicy(split_local_origin=True), id="split"
        ),
        pytest.param(
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0}",
            OutlierPolicy(split_local_origin=True, consecutive_local_origin=5),
            id="split-0-is-envoys-default",
        ),
        pytest.param(
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2}",
            OutlierPolicy(split_local_origin=True, consecutive_local_origin=2),
            id="split-2",
        ),
        pytest.param(
            "{interval: 1ms, baseEjectionTime: 1h30m}",
            OutlierPolicy(interval_s=0.001, base_ejection_s=5400.0),
            id="times",
        ),
    ],
)
def test_outlier_detection(load_yaml: Load, settings: str, policy: OutlierPolicy) -> None:
    """Istio's fields as they reach Envoy."""
    target = target_of(load_yaml, entry() + rule(trafficPolicy=f"{{outlierDetection: {settings}}}"))

    assert target.outlier == policy


DETECTING = "{outlierDetection: {}, tls: {mode: SIMPLE, sni: other}}"


@pytest.mark.parametrize(
    ("text", "tls", "outlier"),
    [
        pytest.param(provider("b.com"), Tls("b.com", ("b.com",)), None, id="generated"),
        pytest.param(
            provider("b.com") + rule(trafficPolicy=DETECTING),
            Tls("b.com", ("b.com",)),
            None,
            id="a-users-rule-does-not-count",
        ),
        pytest.param(
            provider("b.com", metadata=CUSTOM) + rule(trafficPolicy=DETECTING),
            Tls("other", ("b.com",)),
            OutlierPolicy(),
            id="unless-annotated",
        ),
        pytest.param(
            provider("b.com", metadata=CUSTOM.replace('"true"', '"yes"')) + rule(trafficPolicy=DETECTING),
            Tls("b.com", ("b.com",)),
            None,
            id="annotated-with-something-else",
        ),
        pytest.param(
            provider("b.com", metadata=CUSTOM), Tls("b.com", ("b.com",)), None, id="annotated-without-a-rule"
        ),
        pytest.param(
            provider("b.com", metadata=CUSTOM) + rule(),
            Tls("b.com", ("b.com",)),
            None,
            id="annotated-with-a-rule-without-policy",
        ),
        pytest.param(
            provider("b.com", metadata=CUSTOM) + rule("other.net", trafficPolicy=DETECTING),
            Tls("b.com", ("b.com",)),
            None,
            id="annotated-with-a-rule-for-another-host",
        ),
    ],
)
def test_the_generated_rule(load_yaml: Load, text: str, tls: Tls, outlier: OutlierPolicy | None) -> None:
    """Port 80 with TLS to the provider's host, until the LLMProvider says that the user's counts."""
    target = target_of(load_yaml, text)

    assert (target.tls, target.outlier) == (tls, outlier)


@pytest.mark.parametrize(
    ("policy", "port"),
    [
        pytest.param("{tls: {mode: SIMPLE}}", 443, id="simple"),
        pytest.param("{tls: {mode: DISABLE}}", 80, id="disable"),
        pytest.param(
            "{tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}",
            80,
            id="disable-for-the-port",
        ),
    ],
)
def test_where_a_provider_is_dialled(load_yaml: Load, policy: str, port: int) -> None:
    """On 443, or on 80 where TLS is switched off; one logical endpoint."""
    target = target_of(load_yaml, provider("b.com", metadata=CUSTOM) + rule(trafficPolicy=policy))

    assert (target.endpoints, target.per_address) == ((Endpoint("b.com", port),), False)
    assert (target.tls is None) is (port == 80)


PORTS = "[{number: 80, name: http, targetPort: 8080}, {number: 81, name: alt}]"
IPS = "[{address: 10.0.0.1}, {address: 10.0.0.2, ports: {http: 9000}}]"
NAMES = "[{address: x.com}, {address: y.com, ports: {alt: 9000}}]"


@pytest.mark.parametrize(
    ("spec", "endpoints", "per_address"),
    [
        pytest.param({}, {80: ["b.com:8080"], 81: ["b.com:81"]}, False, id="none"),
        pytest.param(
            {"resolution": "STATIC", "endpoints": IPS},
            {80: ["10.0.0.1:8080", "10.0.0.2:9000"], 81: ["10.0.0.1:81", "10.0.0.2:81"]},
            False,
            id="static",
        ),
        pytest.param(
            {"resolution": "STATIC", "endpoints": "[{address: '::1'}]"},
            {80: ["[::1]:8080"], 81: ["[::1]:81"]},
            False,
            id="static-ipv6",
        ),
        pytest.param({"resolution": "DNS"}, {80: ["b.com:8080"], 81: ["b.com:81"]}, True, id="dns"),
        pytest.param(
            {"resolution": "DNS", "endpoints": NAMES},
            {80: ["x.com:8080", "y.com:8080"], 81: ["x.com:81", "y.com:9000"]},
            True,
            id="dns-with-endpoints",
        ),
        pytest.param(
            {"resolution": "DNS_ROUND_ROBIN"}, {80: ["b.com:8080"], 81: ["b.com:81"]}, False, id="round-robin"
        ),
        pytest.param(
            {"resolution": "DNS_ROUND_ROBIN", "endpoints": "[{address: x.com}]"},
            {80: ["x.com:8080"], 81: ["x.com:81"]},
            False,
            id="round-robin-with-an-endpoint",
        ),
    ],
)
def test_service_entries(
    load_yaml: Load,
    spec: dict[str, str],
    endpoints: dict[int, list[str]],
    *,
    per_address: bool,
) -> None:
    """Ports, the ports that are dialled instead, and the endpoints by name of port."""
    service = snapshot_of(load_yaml, entry(ports=PORTS, **spec)).services["b.com"]

    assert {port: [str(e) for e in target.endpoints] for port, target in service.targets.items()} == endpoints
    assert {target.per_address for target in service.targets.values()} == {per_address}
    assert [target.tls for target in service.targets.values()] == [None, None]


def test_one_service_entry_may_describe_several_hosts(load_yaml: Load) -> None:
    """Each with targets and a route of its own."""
    snapshot = snapshot_of(load_yaml, entry("b.com, c.com"))

    assert [str(target) for target in snapshot.targets()] == ["b.com:80", "c.com:80"]
    assert snapshot.routes == {
        host: Route("default", "generated", (RouteDestination(HostPort(host)),))
        for host in ("b.com", "c.com")
    }


def test_a_provider_with_a_service_entry(load_yaml: Load) -> None:
    """The entry says where, the provider says how."""
    target = target_of(
        load_yaml, provider("b.com") + entry(ports="[{number: 80, name: http, targetPort: 8443}]")
    )

    assert target.endpoints == (Endpoint("b.com", 8443),)
    assert target.tls == Tls("b.com", ("b.com",))
    assert target.provider == Provider("a")


@pytest.mark.parametrize(
    ("tls", "names", "expected"),
    [
        pytest.param("{mode: SIMPLE}", "[]", Tls("b.com", ("b.com",)), id="plain"),
        pytest.param(
            "{mode: SIMPLE, sni: s.com}", "[]", Tls("s.com", ("b.com",)), id="sni-is-sent-not-checked"
        ),
        pytest.param(
            "{mode: SIMPLE, sni: s.com, subjectAltNames: [x, y]}",
            "[z]",
            Tls("s.com", ("x", "y")),
            id="names-of-the-rule",
        ),
        pytest.param("{mode: SIMPLE, sni: s.com}", "[z]", Tls("s.com", ("z",)), id="names-of-the-entry"),
        pytest.param(
            "{mode: SIMPLE, caCertificates: system}",
            "[]",
            Tls("b.com", ("b.com",), ca_file=None),
            id="systems-ca",
        ),
        pytest.param(
            "{mode: SIMPLE, insecureSkipVerify: true}",
            "[]",
            Tls("b.com", ("b.com",), verify=False),
            id="unverified",
        ),
        pytest.param("{mode: DISABLE}", "[]", None, id="disable"),
    ],
)
def test_tls(load_yaml: Load, tls: str, names: str, expected: Tls | None) -> None:
    """What is sent as SNI, and whose name the certificate must bear."""
    target = target_of(load_yaml, entry(subjectAltNames=names) + rule(trafficPolicy=f"{{tls: {tls}}}"))

    assert target.tls == expected


@pytest.mark.parametrize(
    ("protocol", "policy", "has_tls"),
    [
        pytest.param("HTTP", None, False, id="http"),
        pytest.param("HTTPS", None, True, id="https"),
        pytest.param("TLS", None, True, id="tls"),
        pytest.param("HTTPS", "{tls: {mode: DISABLE}}", False, id="https-switched-off"),
        pytest.param("HTTP", "{tls: {mode: SIMPLE}}", True, id="http-made-tls"),
    ],
)
def test_protocols(load_yaml: Load, protocol: str, policy: str | None, *, has_tls: bool) -> None:
    """A client's TLS ends here, so it begins again behind a port that speaks it."""
    ports = f"[{{number: 443, name: a, protocol: {protocol}}}]"
    text = entry(ports=ports) + (rule(trafficPolicy=policy) if policy else "")

    target = target_of(load_yaml, text, port=443)

    assert target.tls == (Tls("b.com", ("b.com",)) if has_tls else None)
    assert target.endpoints == (Endpoint("b.com", 443),)


def destinations(load_yaml: Load, http: str) -> tuple[RouteDestination, ...]:
    return (
        snapshot_of(load_yaml, provider() + entry() + virtual_service("b.com", http=http))
        .routes["b.com"]
        .destinations
    )


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
        RouteDestination(HostPort(host), weight) for host, weight in expected
    )


def test_each_destination_has_its_own_fallback(load_yaml: Load) -> None:
    """With the port that it names, if it names one."""
    http = (
        "[{route: [{destination: {host: B.com, port: {number: 80}}, weight: 1,"
        " fallback: {target: {host: A.com, port: {number: 80}}}}, {destination: {host: a.com}, weight: 1}]}]"
    )

    assert destinations(load_yaml, http) == (
        RouteDestination(HostPort("b.com", 80), 1, HostPort("a.com", 80)),
        RouteDestination(HostPort("a.com"), 1, None),
    )


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        pytest.param("", "", "first", id="no-times-takes-the-order-of-the-files"),
        pytest.param("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "second", id="the-older-one"),
        pytest.param("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "first", id="the-older-one-comes-first"),
        pytest.param("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "first", id="equally-old"),
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
    assert loaded.snapshot.routes["b.com"].name == winner
    loser = "second" if winner == "first" else "first"
    assert [(f.resource, f.code) for f in loaded.findings] == [(f"VirtualService/{loser}", "shadowed-host")]


def test_the_first_rule_with_a_policy_wins(load_yaml: Load) -> None:
    """One without a policy stands in nobody's way."""
    text = entry() + rule(name="x") + rule(name="y", trafficPolicy="{tls: {mode: SIMPLE}}")

    assert target_of(load_yaml, text).tls == Tls("b.com", ("b.com",))


def test_names_of_routes(load_yaml: Load) -> None:
    """The rule's, else the VirtualService's; and where it was written."""
    named = to("b.com").replace("{route", "{name: chat, route")
    snapshot = snapshot_of(
        load_yaml,
        entry("b.com, c.com")
        + virtual_service("b.com", http=named)
        + virtual_service("c.com", http=to("b.com"), name="other"),
    )

    assert [(route.name, route.source) for route in snapshot.routes.values()] == [
        ("chat", "a.yaml:14 VirtualService/vs"),
        ("other", "a.yaml:21 VirtualService/other"),
    ]


@pytest.mark.parametrize(
    ("labels", "workload", "applies"),
    [
        pytest.param("{app: sleep}", None, True, id="no-workload-is-all"),
        pytest.param("{app: sleep}", {"app": "sleep"}, True, id="the-same"),
        pytest.param("{app: sleep}", {"app": "sleep", "version": "v1"}, True, id="more-labels"),
        pytest.param("{app: sleep, version: v1}", {"app": "sleep"}, False, id="a-label-missing"),
        pytest.param("{app: sleep}", {"app": "other"}, False, id="another-value"),
        pytest.param("{}", {"app": "sleep"}, True, id="no-selector"),
        pytest.param("{}", {}, True, id="no-labels-at-all"),
    ],
)
def test_workload_selector(
    load_yaml: Load, labels: str, workload: dict[str, str] | None, *, applies: bool
) -> None:
    """All of its labels must be the workload's."""
    text = provider("b.com", workloadSelector=f"{{labels: {labels}}}", configs=openai(model="m"))

    snapshot = snapshot_of(load_yaml, text, workload=workload)

    assert snapshot.provider_of("B.com") == (Provider("a", model="m") if applies else None)
    assert snapshot.manages("b.com") is True


@pytest.mark.parametrize(
    ("path", "base"),
    [
        pytest.param(CHAT, "/compatible-mode/v1", id="under-a-base"),
        pytest.param("/chat/completions", "", id="at-the-root"),
        pytest.param("/generate", None, id="no-chat-path"),
        pytest.param(None, None, id="no-path"),
    ],
)
def test_the_base_of_a_provider(path: str | None, base: str | None) -> None:
    """What is left of its path without `/chat/completions`."""
    assert Provider("p", path).base == base


def test_hosts_that_only_a_virtual_service_names_are_aliases(load_yaml: Load) -> None:
    """Managed, and sent where the route says."""
    snapshot = snapshot_of(load_yaml, entry() + virtual_service("Chat.Internal", http=to("b.com")))

    assert snapshot.routes["chat.internal"].destinations == (RouteDestination(HostPort("b.com")),)
    assert [snapshot.manages(host) for host in ("chat.internal", "CHAT.internal", "other")] == [
        True,
        True,
        False,
    ]
