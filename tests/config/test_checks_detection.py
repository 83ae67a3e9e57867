"""Detectors that cannot eject, or whose ejections change nothing."""

import pytest

from tests.config.checked import A, codes, said
from tests.config.written import entry, rule

DETECTION = "spec.trafficPolicy.outlierDetection"


def detecting(detection: str, *, host: str = "a.com") -> str:
    return rule(host, name="d", trafficPolicy=f"{{outlierDetection: {{{detection}}}}}")


def static(count: int, *, host: str = "a.com") -> str:
    addresses = ", ".join(f"{{address: 10.0.0.{n + 1}}}" for n in range(count))
    return entry(host, name="s", resolution="STATIC", endpoints=f"[{addresses}]")


def test_a_lone_endpoint_needs_a_hundred_percent() -> None:
    """The default of 10% ejects none of fewer than ten; the line says what would."""
    assert said(A + detecting("consecutive5xxErrors: 1")) == [
        (
            f"DestinationRule/d: warning: {DETECTION}.maxEjectionPercent: nobody is ejected: the host has 1"
            " endpoint, and at most 10% are let go (write 100 or more) [never-ejects]"
        )
    ]


@pytest.mark.parametrize(
    ("endpoints", "percent", "needed"),
    [
        pytest.param(1, 99, 100, id="lone-below"),
        pytest.param(1, 100, None, id="lone"),
        pytest.param(1, 0, 100, id="zero-is-the-default"),
        pytest.param(2, 49, 50, id="two-below"),
        pytest.param(2, 50, None, id="two"),
        pytest.param(3, 33, 34, id="a-third-is-more-than-33-percent"),
        pytest.param(3, 34, None, id="three"),
        pytest.param(10, 0, None, id="ten-with-the-default"),
        pytest.param(0, 0, None, id="nobody-is-there"),
    ],
)
def test_the_percentage_lets_one_endpoint_go(endpoints: int, percent: int, needed: int | None) -> None:
    """As Envoy compares: one of all the endpoints, in percent, with the limit."""
    text = static(endpoints) + detecting(f"maxEjectionPercent: {percent}")

    found = [line for line in said(text) if not line.endswith("[no-endpoints]")]

    assert len(found) == (needed is not None)
    assert all(f"(write {needed} or more) [never-ejects]" in line for line in found)


@pytest.mark.parametrize(
    ("percent", "severity", "needed"),
    [(0, "warning", 10), (10, "warning", 10), (49, "warning", 3), (50, "info", 2), (99, "info", 2)],
)
def test_names_that_are_resolved_need_some_addresses(percent: int, severity: str, needed: int) -> None:
    """With resolution DNS each address is an endpoint, and nobody knows how many there will be."""
    text = entry("a.com", resolution="DNS") + detecting(f"maxEjectionPercent: {percent}")

    assert said(text) == [
        (
            f"DestinationRule/d: {severity}: {DETECTION}.maxEjectionPercent: nobody is ejected unless the"
            f" host has {needed} addresses or more: at most {percent or 10}% are let go"
            " (write 100, or what fits their number) [never-ejects]"
        )
    ]


def test_names_that_may_have_enough_addresses() -> None:
    """Each name has one at least; without one, nobody is there to eject."""
    names = ", ".join(f"{{address: {name}.net}}" for name in "xyz")
    three = entry("a.com", resolution="DNS", endpoints=f"[{names}]")
    subsets = "[{name: s, labels: {v: one}, trafficPolicy: {outlierDetection: {}}}]"

    assert codes(three + detecting("maxEjectionPercent: 34")) == []
    assert codes(entry("a.com", resolution="DNS") + detecting("maxEjectionPercent: 100")) == []
    assert codes(three + rule("a.com", subsets=subsets)) == ["no-endpoints spec.subsets[0].labels"]


def test_one_name_for_all_addresses_is_one_endpoint() -> None:
    """With resolution DNS_ROUND_ROBIN."""
    assert codes(entry("a.com", resolution="DNS_ROUND_ROBIN") + detecting("consecutive5xxErrors: 1")) == [
        f"never-ejects {DETECTION}.maxEjectionPercent"
    ]


def test_a_subset_may_be_one_endpoint_of_several() -> None:
    """Its own policy counts its own endpoints."""
    endpoints = "[{address: 10.0.0.1, labels: {v: one}}, {address: 10.0.0.2}, {address: 10.0.0.3}]"
    policy = "{outlierDetection: {maxEjectionPercent: 50}}"
    text = entry("a.com", resolution="STATIC", endpoints=endpoints) + rule(
        "a.com", trafficPolicy=policy, subsets=f"[{{name: one, labels: {{v: one}}, trafficPolicy: {policy}}}]"
    )

    assert codes(text) == ["never-ejects spec.subsets[0].trafficPolicy.outlierDetection.maxEjectionPercent"]


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        pytest.param("consecutive5xxErrors: 0", ["never-ejects consecutive5xxErrors"], id="no-threshold"),
        pytest.param("consecutive5xxErrors: 0, consecutiveGatewayErrors: 3", [], id="gateway-errors-only"),
        pytest.param(
            "consecutive5xxErrors: 0, splitExternalLocalOriginErrors: true", [], id="local-failures-only"
        ),
        pytest.param(
            "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0",
            ["no-effect consecutiveLocalOriginFailures"],
            id="local-failures-that-cannot-be-turned-off",
        ),
        pytest.param("consecutiveLocalOriginFailures: 0", [], id="local-failures-that-are-not-split-off"),
        pytest.param("consecutiveGatewayErrors: 4", [], id="gateway-errors-before-the-default-of-5"),
        pytest.param(
            "consecutiveGatewayErrors: 5", ["no-effect consecutiveGatewayErrors"], id="gateway-errors-as-late"
        ),
        pytest.param(
            "consecutive5xxErrors: 2, consecutiveGatewayErrors: 3",
            ["no-effect consecutiveGatewayErrors"],
            id="gateway-errors-later",
        ),
    ],
)
def test_thresholds(detection: str, expected: list[str]) -> None:
    """One that can be reached, and reached first."""
    found = codes(A + detecting(f"maxEjectionPercent: 100, {detection}"))

    assert found == [f"{code} {DETECTION}.{name}" for code, name in map(str.split, expected)]


@pytest.mark.parametrize(
    ("endpoints", "percent", "panics"),
    [
        pytest.param(1, 0, False, id="off"),
        pytest.param(1, 1, True, id="lone"),
        pytest.param(2, 50, False, id="one-of-two-is-half"),
        pytest.param(2, 51, True, id="more-than-half-of-two"),
    ],
)
def test_panic_at_the_first_ejection(endpoints: int, percent: int, panics: bool) -> None:  # noqa: FBT001
    """`minHealthPercent` gives the ejected endpoints their requests back when too few are left."""
    text = static(endpoints) + detecting(f"maxEjectionPercent: 100, minHealthPercent: {percent}")

    assert codes(text) == [f"panic-threshold {DETECTION}.minHealthPercent"] * panics


def test_local_failures_need_the_split() -> None:
    """The resource itself says so; there is nothing left to check."""
    with pytest.raises(AssertionError, match="needs splitExternalLocalOriginErrors"):
        said(A + detecting("consecutiveLocalOriginFailures: 3"))
