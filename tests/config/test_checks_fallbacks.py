"""Fallbacks that never act, or lead nowhere."""

import pytest

from tests.config.checked import A_EJECTS, B_EJECTS, A, B, C, codes, said
from tests.config.conftest import Load
from tests.config.written import CUSTOM, entry, provider, rule, virtual_service

FALLBACK = "spec.http[0].route[0].fallback"


def falling_back(host: str, target: str, *, name: str = "vs", more: str = "") -> str:
    """A VirtualService whose one destination has a fallback; `target` may name a port or subset too."""
    fallback = f"fallback: {{target: {{host: {target}}}}}"
    http = f"[{{route: [{{destination: {{host: {host}{more}}}, {fallback}}}]}}]"
    return virtual_service(host, name=name, http=http)


def test_without_a_detector_a_fallback_never_acts() -> None:
    """Nothing makes the destination's endpoints unhealthy."""
    assert said(A + B + B_EJECTS + falling_back("a.com", "b.com")) == [
        (
            f"VirtualService/vs: warning: {FALLBACK}: never acts: without outlierDetection no endpoint of the"
            " destination is ever ejected (add it to a DestinationRule for that host) [no-detector]"
        )
    ]


def test_the_rule_that_a_provider_generates_has_no_detector() -> None:
    """The line says what it takes to have one."""
    assert said(provider() + B + falling_back("a.com", "b.com")) == [
        (
            f"VirtualService/vs: warning: {FALLBACK}: never acts: without outlierDetection no endpoint of the"
            " destination is ever ejected (add it to a DestinationRule for that host, and annotate"
            " LLMProvider/a"
            ' with asm.alibabacloud.com/custom-destinationrule: "true") [no-detector]'
        )
    ]


TLS_80 = "{port: {number: 80}, tls: {mode: SIMPLE}}"
DETECTS = "outlierDetection: {maxEjectionPercent: 100}"


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        pytest.param(A + A_EJECTS, "", [], id="detected"),
        pytest.param(
            A + rule("a.com", trafficPolicy=f"{{{DETECTS}, portLevelSettings: [{TLS_80}]}}"),
            "",
            ["replaced-policy", "no-detector"],
            id="lost-beside-the-entry-of-the-port",
        ),
        pytest.param(
            provider() + A_EJECTS, "", ["generated-rule", "no-detector"], id="in-a-rule-that-does-not-count"
        ),
        pytest.param(
            provider(metadata=CUSTOM) + rule("a.com", trafficPolicy=f"{{{DETECTS}, tls: {{mode: SIMPLE}}}}"),
            "",
            [],
            id="in-a-rule-that-counts",
        ),
        pytest.param(
            A + rule("a.com", subsets=f"[{{name: s, trafficPolicy: {{{DETECTS}}}}}, {{name: t}}]"),
            ", subset: s",
            [],
            id="in-the-subset",
        ),
        pytest.param(
            A + rule("a.com", subsets=f"[{{name: s, trafficPolicy: {{{DETECTS}}}}}, {{name: t}}]"),
            ", subset: t",
            ["no-detector"],
            id="in-another-subset",
        ),
        pytest.param(
            entry("a.com", name="a", resolution="STATIC"), "", ["no-endpoints"], id="nobody-is-there-ever"
        ),
    ],
)
def test_where_the_detector_is(text: str, more: str, expected: list[str]) -> None:
    """It counts where it is in effect for the destination's host, port and subset."""
    found = codes(text + B + falling_back("a.com", "b.com", more=more))

    assert [code.split()[0] for code in found] == expected


def test_any_of_several_ports_may_be_meant() -> None:
    """A destination without a port means the one that the client called."""
    ports = "[{number: 80, name: http}, {number: 81, name: more}]"
    policy = f"{{portLevelSettings: [{{port: {{number: 81}}, {DETECTS}}}]}}"
    text = entry("a.com", name="a", ports=ports) + rule("a.com", trafficPolicy=policy) + B

    assert codes(text + falling_back("a.com", "b.com")) == []
    assert codes(text + falling_back("a.com", "b.com", more=", port: {number: 80}")) == [
        f"no-detector {FALLBACK}"
    ]


@pytest.mark.parametrize(
    ("endpoints", "percent", "is_said"),
    [
        pytest.param(2, 100, False, id="all-are-let-go"),
        pytest.param(2, 99, True, id="one-always-stays"),
        pytest.param(1, 99, False, id="of-a-lone-one-the-detector-says-it"),
        pytest.param(0, 50, True, id="a-name-with-any-number"),
        pytest.param(0, 100, False, id="a-name-all-of-whose-addresses-are-let-go"),
    ],
)
def test_all_endpoints_must_be_let_go(endpoints: int, percent: int, is_said: bool) -> None:  # noqa: FBT001
    """While one is in rotation the fallback waits, however many are ejected."""
    addresses = ", ".join(f"{{address: 10.0.0.{n + 1}}}" for n in range(endpoints))
    spec = {"resolution": "STATIC", "endpoints": f"[{addresses}]"} if endpoints else {"resolution": "DNS"}
    detection = f"{{outlierDetection: {{maxEjectionPercent: {percent}}}}}"
    text = entry("a.com", name="a", **spec) + rule("a.com", trafficPolicy=detection) + B

    found = said(text + falling_back("a.com", "b.com"))

    expected = (
        f"VirtualService/vs: warning: {FALLBACK}: never acts: at most {percent}% of the destination's"
        " endpoints are ejected, never all (write maxEjectionPercent: 100 in its outlierDetection)"
        " [no-effect]"
    )
    assert [line for line in found if line.endswith("[no-effect]")] == [expected] * is_said


def test_a_destination_without_a_share_has_no_use_for_a_fallback() -> None:
    """Nobody is sent there, so it needs no detector either."""
    route = "[{destination: {host: a.com}, weight: 0, fallback: {target: {host: b.com}}}, "
    text = (
        A
        + B
        + virtual_service("a.com", http=f"[{{route: {route}{{destination: {{host: b.com}}, weight: 1}}]}}]")
    )

    assert said(text) == [
        (
            "VirtualService/vs: info: spec.http[0].route[0].fallback: is never used: the destination has"
            " weight 0 [no-effect]"
        )
    ]


@pytest.mark.parametrize(
    ("target", "loops"),
    [
        pytest.param("a.com", True, id="the-host"),
        pytest.param("a.com, port: {number: 80}", True, id="its-only-port"),
        pytest.param("a.com, subset: s", False, id="a-subset"),
    ],
)
def test_a_fallback_to_itself(target: str, loops: bool) -> None:  # noqa: FBT001
    """It has no healthy endpoint either."""
    text = A + A_EJECTS + rule("a.com", name="more", subsets="[{name: s}]") + falling_back("a.com", target)

    assert codes(text) == [f"fallback-cycle {FALLBACK}.target"] * loops


def test_a_circle_of_fallbacks() -> None:
    """Said once, at the one that closes it; it harms nobody."""
    text = (
        A
        + B
        + A_EJECTS
        + B_EJECTS
        + falling_back("a.com", "b.com")
        + falling_back("b.com", "a.com", name="w")
    )

    assert said(text) == [
        (
            f"VirtualService/w: info: {FALLBACK}.target.host: closes a circle of fallbacks: a request"
            " goes one step"
            " of it at most, and then gets 503 [fallback-cycle]"
        )
    ]


@pytest.mark.parametrize(
    ("edges", "closing"),
    [
        pytest.param("ab bc", [], id="a-chain"),
        pytest.param("ab bc ca", ["ca"], id="three"),
        pytest.param("ab cb", [], id="two-to-one"),
        pytest.param("ab ba cb", ["ba"], id="with-somebody-beside-it"),
    ],
)
def test_circles(edges: str, closing: list[str]) -> None:
    """Each is found wherever the search begins."""
    hosts = (
        A + B + C + "".join(rule(f"{name}.com", name=name, trafficPolicy=f"{{{DETECTS}}}") for name in "abc")
    )
    services = [falling_back(f"{edge[0]}.com", f"{edge[1]}.com", name=edge) for edge in edges.split()]

    found = [line for line in said(hosts + "".join(services)) if "fallback-cycle" in line]

    assert [line.split(":")[0] for line in found] == [f"VirtualService/{edge}" for edge in closing]


def test_a_long_chain_of_fallbacks() -> None:
    """As long as a configuration may be: the search is no recursion."""
    count = 1500
    text = "".join(
        entry(f"h{n}.com", name=f"h{n}")
        + rule(f"h{n}.com", name=f"h{n}", trafficPolicy=f"{{{DETECTS}}}")
        + falling_back(f"h{n}.com", f"h{(n + 1) % count}.com", name=f"h{n}")
        for n in range(count)
    )

    assert codes(text) == [f"fallback-cycle {FALLBACK}.target.host"]


def test_the_case_of_a_fallback_has_no_effect() -> None:
    """Nobody knows what it would be."""
    http = "[{route: [{destination: {host: a.com}, fallback: {case: x, target: {host: b.com}}}]}]"

    assert codes(A + A_EJECTS + B + virtual_service("a.com", http=http)) == [f"no-effect {FALLBACK}.case"]


@pytest.mark.parametrize(
    ("target", "is_said"),
    [
        pytest.param("{kind: VirtualService, name: vs}", False, id="of-the-virtual-service"),
        pytest.param("{kind: VirtualService, name: other}", True, id="of-another"),
        pytest.param("{kind: LLMProvider, name: a}", False, id="of-the-provider"),
    ],
)
def test_a_fallback_that_rescues_needs_no_detector(target: str, is_said: bool) -> None:  # noqa: FBT001
    """With an LLMFallbackPolicy, requests that fail are sent there."""
    policy = (
        "---\napiVersion: llmfallback.io/v1alpha1\nkind: LLMFallbackPolicy\nmetadata: {name: p}\n"
        f"spec: {{targetRefs: [{target}]}}\n"
    )

    found = codes(provider() + B + falling_back("a.com", "b.com") + policy)

    assert (f"no-detector {FALLBACK}" in found) is is_said


def test_a_broken_rule_is_reported_once(load_yaml: Load) -> None:
    """Who refers to it is not to blame: neither for a detector nor for subsets that may be in it."""
    broken = rule("a.com", subsets="[{name: s}]", trafficPolicy="{outlierDetection: {interval: 10}}")

    loaded = load_yaml(A + B + broken + falling_back("a.com", "b.com", more=", subset: s"))

    assert [finding.code for finding in loaded.findings] == ["invalid-value"]
