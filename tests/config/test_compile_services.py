"""Targets: which endpoints a host has, by port and subset, and what its provider needs."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_fallback.config import load
from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import Route, RouteDestination
from llm_fallback.config.snapshot import DEFAULT_POOL, LoadBalancing, Provider, ProviderConfig, Tls
from llm_fallback.outlier import Endpoint, OutlierPolicy
from tests.config.compiled import fields, snapshot_of, target_of
from tests.config.conftest import Load
from tests.config.written import entry, openai, provider, rule, to, virtual_service

CONFIG = Path(__file__).parents[2] / "config"
PRIMARY = "asm-llm-provider-test.com"
DASHSCOPE = "dashscope.aliyuncs.com"
CHAT = "/compatible-mode/v1/chat/completions"
PRIMARY_PROVIDER = f"{CONFIG / 'provider.yaml'}:2 LLMProvider/asm-llm-provider-test"
PRIMARY_RULE = f"{CONFIG / 'destinationrule.yaml'}:2 DestinationRule/asm-llm-provider-test"
DASHSCOPE_PROVIDER = f"{CONFIG / 'provider.yaml'}:22 LLMProvider/dashscope-qwen"


def test_the_tutorial() -> None:
    """All of it: two targets, and the fallback from one to the other."""
    snapshot = load([CONFIG], {"dashscopeAPI_KEY": "secret"}).snapshot

    assert snapshot is not None
    same = {
        "port": 80, "subset": None, "weights": (), "per_address": False, "panic_threshold": 0,
        "balancing": LoadBalancing(), "pool": DEFAULT_POOL,
    }  # fmt: skip
    test_config = ProviderConfig("test-model", stream=False, api_key=SecretStr("test-api-key"))
    qwen_config = ProviderConfig("qwen1.5-72b-chat", stream=False, api_key=SecretStr("secret"))
    assert {str(target): fields(target) for target in snapshot.targets()} == {
        f"{PRIMARY}:80": same | {
            "host": PRIMARY,
            "endpoints": (Endpoint(PRIMARY, 443),),
            "tls": Tls("asm-llm-provider-test", (PRIMARY,), ca_file=None, verify=True),
            "outlier": OutlierPolicy(
                consecutive_5xx=1, interval_s=1.0, base_ejection_s=10.0, max_ejection_percent=100
            ),
            "provider": fields(Provider("asm-llm-provider-test", CHAT, test_config)),
            "sources": (PRIMARY_PROVIDER, PRIMARY_RULE),
        },
        f"{DASHSCOPE}:80": same | {
            "host": DASHSCOPE,
            "endpoints": (Endpoint(DASHSCOPE, 443),),
            "tls": Tls(DASHSCOPE, (DASHSCOPE,), ca_file=None, verify=True),
            "outlier": None,
            "provider": fields(Provider("dashscope-qwen", CHAT, qwen_config)),
            "sources": (DASHSCOPE_PROVIDER,),
        },
    }  # fmt: skip
    line = (CONFIG / "vs.yaml").read_text().splitlines().index("  - name: fallback-route") + 1
    place = f"{CONFIG / 'vs.yaml'}:{line} VirtualService/test-fallback-llm-vs"
    destination = RouteDestination(Destination(PRIMARY, 80), 1, Destination(DASHSCOPE))
    expected = {
        PRIMARY: Route("fallback-route", place, (destination,)),
        DASHSCOPE: Route("default", "generated", (RouteDestination(Destination(DASHSCOPE)),)),
    }
    routes = {host: rules.routes for host, rules in snapshot.virtual_hosts.items()}
    assert {host: [fields(route) for route in found] for host, found in routes.items()} == {
        host: [fields(route)] for host, route in expected.items()
    }
    assert snapshot.wildcards == {}


def test_the_demo_changes_only_where_the_hosts_are() -> None:
    """Same TLS, same detection, same provider; other endpoints, as the demo's ServiceEntries say."""
    environment = {"dashscopeAPI_KEY": "s", "DEMO_PRIMARY_PORT": "18080", "DEMO_DASHSCOPE_PORT": "18443"}
    plain = load([CONFIG], environment).snapshot
    demo = load([CONFIG, CONFIG / "demo"], environment).snapshot

    assert plain is not None
    assert demo is not None
    primary = (PRIMARY_PROVIDER, f"{CONFIG / 'demo/primary.yaml'}:4 ServiceEntry/demo-primary", PRIMARY_RULE)
    dashscope = (DASHSCOPE_PROVIDER, f"{CONFIG / 'demo/dashscope.yaml'}:4 ServiceEntry/demo-dashscope")
    for host, port, sources in ((PRIMARY, 18080, primary), (DASHSCOPE, 18443, dashscope)):
        before, after = (fields(snapshot.services[host].targets[80, None]) for snapshot in (plain, demo))
        assert after == before | {"endpoints": (Endpoint("127.0.0.1", port),), "sources": sources}
        routes = [[fields(r) for r in s.virtual_hosts[host].routes] for s in (plain, demo)]
        assert routes[0] == routes[1]


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

    assert {
        port: [str(e) for e in target.endpoints] for (port, _), target in service.targets.items()
    } == endpoints
    assert {target.per_address for target in service.targets.values()} == {per_address}
    assert [target.tls for target in service.targets.values()] == [None, None]


def test_one_service_entry_may_describe_several_hosts(load_yaml: Load) -> None:
    """Each with targets and a route of its own."""
    snapshot = snapshot_of(load_yaml, entry("b.com, c.com"))

    assert [str(target) for target in snapshot.targets()] == ["b.com:80", "c.com:80"]
    for host in ("b.com", "c.com"):
        (route,) = snapshot.virtual_hosts[host].routes
        assert fields(route) == fields(Route("default", "generated", (RouteDestination(Destination(host)),)))


def test_a_provider_with_a_service_entry(load_yaml: Load) -> None:
    """The entry says where, the provider says how."""
    target = target_of(
        load_yaml, provider("b.com") + entry(ports="[{number: 80, name: http, targetPort: 8443}]")
    )

    assert target.endpoints == (Endpoint("b.com", 8443),)
    assert target.tls == Tls("b.com", ("b.com",))
    assert fields(target.provider) == fields(Provider("a"))


def test_no_port_of_a_provider_is_plain_by_itself(load_yaml: Load) -> None:
    """Its key is sent there."""
    text = provider("b.com") + entry(ports="[{number: 8000, name: http, targetPort: 8443}]")
    target = target_of(load_yaml, text, port=8000)

    assert (target.endpoints, target.tls) == ((Endpoint("b.com", 8443),), Tls("b.com", ("b.com",)))


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

    provider_of = snapshot.provider_of("B.com")
    assert (provider_of and provider_of.default.model) == ("m" if applies else None)
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


@pytest.mark.parametrize(
    ("labels", "addresses", "weights"),
    [
        pytest.param("{v: '1'}", ["10.0.0.1", "10.0.0.3"], (1, 5), id="one-label"),
        pytest.param("{v: '1', zone: a}", ["10.0.0.1"], (1,), id="all-of-them-must-fit"),
        pytest.param("{}", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], (1, 2, 5), id="no-labels-is-all"),
        pytest.param("{v: '9'}", [], (), id="nobody"),
    ],
)
def test_endpoints_of_a_subset(
    load_yaml: Load, labels: str, addresses: list[str], weights: tuple[int, ...]
) -> None:
    """Those that bear its labels, with their weights; beside the target of all."""
    endpoints = (
        "[{address: 10.0.0.1, labels: {v: '1', zone: a}}, {address: 10.0.0.2, weight: 2},"
        " {address: 10.0.0.3, labels: {v: '1'}, weight: 5}]"
    )
    text = entry(resolution="STATIC", endpoints=endpoints) + rule(subsets=f"[{{name: s, labels: {labels}}}]")

    subset, general = (target_of(load_yaml, text, subset=name) for name in ("s", None))

    assert ([e.address for e in subset.endpoints], subset.weights) == (addresses, weights)
    assert (len(general.endpoints), general.weights, str(subset)) == (3, (1, 2, 5), "b.com:80/s")


def test_equal_weights_are_none(load_yaml: Load) -> None:
    """An unset weight, 0 and 1 are the same."""
    endpoints = "[{address: 10.0.0.1}, {address: 10.0.0.2, weight: 0}, {address: 10.0.0.3, weight: 1}]"

    assert target_of(load_yaml, entry(resolution="STATIC", endpoints=endpoints)).weights == ()


def test_ports_that_speak_something_else(load_yaml: Load) -> None:
    """No requests come to them."""
    ports = (
        "[{number: 80, name: a}, {number: 3306, name: b, protocol: MYSQL},"
        " {number: 90, name: c, protocol: GRPC}]"
    )

    service = snapshot_of(load_yaml, entry(ports=ports)).services["b.com"]

    assert sorted(port for port, _ in service.targets) == [80, 90]


def test_settings_by_rule(load_yaml: Load) -> None:
    """`routeSpecificConfigs` replace the default whole, under an LLMRoute's rule of that name."""
    configs = (
        "{defaultConfig: {openAIConfig: {model: m, stream: true}},"
        " routeSpecificConfigs: {vip: {openAIConfig: {model: large}}}}"
    )

    found = target_of(load_yaml, provider("b.com", configs=configs)).provider

    assert found is not None
    assert [found.config(rule) for rule in (None, "vip", "other")] == [
        ProviderConfig("m", stream=True),
        ProviderConfig("large"),
        ProviderConfig("m", stream=True),
    ]


def test_entries_that_share_a_host_add_up(load_yaml: Load) -> None:
    """Each port keeps the endpoints of its own entry; a destination may name any of them."""
    spec = {"host": "a.com", "resolution": "STATIC"}
    plain = entry(**spec, name="a", endpoints="[{address: 10.0.0.1}]")
    secure = entry(
        **spec,
        name="b",
        endpoints="[{address: 10.0.0.2}]",
        ports="[{number: 443, name: https, protocol: HTTPS}]",
    )

    snapshot = snapshot_of(load_yaml, plain + secure + virtual_service("a.com", http=to("a.com", port=443)))

    targets = snapshot.services["a.com"].targets
    assert {port: target.endpoints for (port, _), target in targets.items()} == {
        80: (Endpoint("10.0.0.1", 80),),
        443: (Endpoint("10.0.0.2", 443),),
    }
    assert {len(target.sources) for target in targets.values()} == {2}
