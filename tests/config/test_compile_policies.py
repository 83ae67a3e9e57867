"""Which of the DestinationRules' settings stand for a host, port and subset."""

import pytest

from llm_fallback.config.snapshot import Algorithm, Tls
from llm_fallback.outlier import Endpoint, OutlierPolicy
from tests.config.compiled import snapshot_of, target_of
from tests.config.conftest import Load
from tests.config.written import CUSTOM, entry, provider, rule


@pytest.mark.parametrize(
    ("policy", "tls", "outlier", "panic"),
    [
        pytest.param("{tls: {mode: SIMPLE}}", True, None, 0, id="of-the-rule"),
        pytest.param(
            "{tls: {mode: SIMPLE}, outlierDetection: {minHealthPercent: 50},"
            " portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]}",
            True,
            OutlierPolicy(),
            50,
            id="an-entry-for-another-port",
        ),
        pytest.param(
            "{tls: {mode: SIMPLE}, outlierDetection: {minHealthPercent: 50},"
            " portLevelSettings: [{port: {number: 80}, loadBalancer: {}}]}",
            False,
            None,
            0,
            id="an-entry-replaces-all",
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


def test_the_first_rule_with_a_policy_wins(load_yaml: Load) -> None:
    """One without a policy stands in nobody's way."""
    text = entry() + rule(name="x") + rule(name="y", trafficPolicy="{tls: {mode: SIMPLE}}")

    assert target_of(load_yaml, text).tls == Tls("b.com", ("b.com",))


V1 = "[{name: v1, labels: {version: v1}%s}]"


@pytest.mark.parametrize(
    ("policy", "subset_policy", "threshold", "has_tls", "algorithm"),
    [
        pytest.param("{tls: {mode: SIMPLE}}", "", None, True, "LEAST_REQUEST", id="inherited"),
        pytest.param(
            "{tls: {mode: SIMPLE}, outlierDetection: {consecutive5xxErrors: 2}}",
            "{outlierDetection: {consecutive5xxErrors: 3}}",
            3,
            True,
            "LEAST_REQUEST",
            id="block-by-block",
        ),
        pytest.param(
            "{tls: {mode: SIMPLE}, loadBalancer: {simple: RANDOM}}",
            "{tls: {mode: DISABLE}}",
            None,
            False,
            "RANDOM",
            id="another-block",
        ),
        pytest.param(
            "{tls: {mode: SIMPLE}, outlierDetection: {consecutive5xxErrors: 2}}",
            "{portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}",
            None,
            False,
            "RANDOM",
            id="a-port-of-the-subset-replaces-all",
        ),
        pytest.param(
            "{tls: {mode: SIMPLE}, outlierDetection: {consecutive5xxErrors: 2}}",
            "{portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: RANDOM}}]}",
            2,
            True,
            "LEAST_REQUEST",
            id="but-only-for-that-port",
        ),
        pytest.param(
            "{loadBalancer: {simple: RANDOM},"
            " portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}",
            "{outlierDetection: {consecutive5xxErrors: 4}}",
            4,
            True,
            "LEAST_REQUEST",
            id="on-top-of-the-rules-port",
        ),
    ],
)
def test_subsets(
    load_yaml: Load,
    policy: str,
    subset_policy: str,
    threshold: int | None,
    *,
    has_tls: bool,
    algorithm: str,
) -> None:
    """A subset overrides the rule block by block; its own ports replace all four blocks."""
    more = f", trafficPolicy: {subset_policy}" if subset_policy else ""
    text = (
        entry(
            ports="[{number: 80, name: a}, {number: 81, name: b}]",
            resolution="STATIC",
            endpoints="[{address: 10.0.0.1, labels: {version: v1}}]",
        )
        + rule(trafficPolicy=policy, subsets=V1 % more)
    )  # fmt: skip

    target = target_of(load_yaml, text, subset="v1")

    assert (target.outlier and target.outlier.consecutive_5xx, target.tls is not None) == (threshold, has_tls)
    assert (target.subset, target.balancing.algorithm) == ("v1", Algorithm(algorithm))


def test_subsets_of_several_rules(load_yaml: Load) -> None:
    """All count; of those with one name, the first."""
    text = (
        entry(resolution="STATIC", endpoints="[{address: 10.0.0.1, labels: {v: '1'}}, {address: 10.0.0.2}]")
        + rule(name="x", subsets="[{name: v1, labels: {v: '1'}}]")
        + rule(name="y", subsets="[{name: v1, labels: {v: '2'}}, {name: v2, labels: {v: '2'}}]")
    )

    targets = snapshot_of(load_yaml, text).services["b.com"].targets

    assert {key: [e.address for e in target.endpoints] for key, target in targets.items()} == {
        (80, None): ["10.0.0.1", "10.0.0.2"],
        (80, "v1"): ["10.0.0.1"],
        (80, "v2"): [],
    }


@pytest.mark.parametrize(
    ("rules", "sni"),
    [
        pytest.param([("*.com", "wide")], "wide", id="wildcard"),
        pytest.param([("*.com", "wide"), ("*.b.com", "near")], "near", id="the-longest"),
        pytest.param([("*.com", "wide"), ("x.b.com", "own")], "own", id="its-own-first"),
        pytest.param([("*.net", "other")], None, id="another"),
    ],
)
def test_rules_for_wildcards(load_yaml: Load, rules: list[tuple[str, str]], sni: str | None) -> None:
    """The most specific rule for a host counts, and nothing is merged."""
    text = entry("x.b.com") + "".join(
        rule(f"'{host}'", name=name, trafficPolicy=f"{{tls: {{mode: SIMPLE, sni: {name}}}}}")
        for host, name in rules
    )

    target = target_of(load_yaml, text, "x.b.com")

    assert (target.tls and target.tls.sni) == sni


@pytest.mark.parametrize(
    ("workload", "applies"),
    [
        pytest.param(None, True, id="no-workload-is-all"),
        pytest.param({"app": "sleep", "v": "1"}, True, id="its-own"),
        pytest.param({"app": "other"}, False, id="another"),
        pytest.param({}, False, id="one-without-labels"),
    ],
)
def test_rules_for_workloads(load_yaml: Load, workload: dict[str, str] | None, *, applies: bool) -> None:
    """`workloadSelector` leaves out the others."""
    text = entry() + rule(
        trafficPolicy="{tls: {mode: SIMPLE}}", workloadSelector="{matchLabels: {app: sleep}}"
    )

    target = snapshot_of(load_yaml, text, workload=workload).services["b.com"].targets[80, None]

    assert (target.tls is not None) is applies
