"""Values that are wrong in themselves: one line that says what to write instead."""

from collections.abc import Mapping

import pytest

from llm_fallback.config import Loaded
from tests.config.conftest import Load
from tests.config.written import CUSTOM, entry, provider, rule


def lines(loaded: Loaded) -> list[str]:
    return [str(finding) for finding in loaded.findings]


SPEC = "spec.trafficPolicy.outlierDetection"
DURATION = "(write a number with a unit of ms, s, m or h, such as 10s) [invalid-value]"
WHOLE = "a duration is a whole number of milliseconds, at least 1ms [invalid-value]"


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        pytest.param("interval: 10", f"interval: 10: a duration needs a unit {DURATION}", id="no-unit"),
        pytest.param(
            "interval: '10'", f"interval: '10': not a duration; {DURATION[1:]}", id="no-unit-as-text"
        ),
        pytest.param("interval: 0.5ms", f"interval: '0.5ms': {WHOLE}", id="below-1ms"),
        pytest.param("interval: 1d", f"interval: '1d': not a duration {DURATION}", id="days"),
        pytest.param("baseEjectionTime: 0s", f"baseEjectionTime: '0s': {WHOLE}", id="zero"),
        pytest.param(
            "consecutive5xxErrors: -1",
            "consecutive5xxErrors: must be 0 or more, not -1 [out-of-range]",
            id="-1",
        ),
        pytest.param(
            "consecutive5xxErrors: 1.5",
            "consecutive5xxErrors: must be a whole number, not a fraction [wrong-type]",
            id="1.5",
        ),
        pytest.param(
            "consecutive5xxErrors: '1'",
            "consecutive5xxErrors: must be a whole number, not text (write 1, without quotes) [wrong-type]",
            id="text",
        ),
        pytest.param(
            "consecutive5xxErrors: true",
            "consecutive5xxErrors: must be a whole number, not a boolean [wrong-type]",
            id="true",
        ),
        pytest.param(
            "maxEjectionPercent: 101",
            "maxEjectionPercent: must be 100 or less, not 101 [out-of-range]",
            id="101-percent",
        ),
        pytest.param(
            "minHealthPercent: -1",
            "minHealthPercent: must be 0 or more, not -1 [out-of-range]",
            id="-1-percent",
        ),
        pytest.param(
            "outlierDetectionHttpErrorCodes: [99]",
            "outlierDetectionHttpErrorCodes[0]: must be 100 or more, not 99 [out-of-range]",
            id="code",
        ),
        pytest.param(
            "consecutive5xxErors: 1",
            "consecutive5xxErors: unknown field (did you mean consecutive5xxErrors?) [unknown-field]",
            id="slip",
        ),
        pytest.param("zzz: 1", "zzz: unknown field [unknown-field]", id="nothing-like-it"),
    ],
)
def test_bad_outlier_detection(load_yaml: Load, setting: str, problem: str) -> None:
    """One line that says what to write."""
    loaded = load_yaml(entry() + rule(trafficPolicy=f"\n    outlierDetection:\n      {setting}"))

    expected = f"a.yaml:16: DestinationRule/b: {SPEC}.{problem}".replace("duration; write", "duration (write")
    assert lines(loaded) == [expected]


def test_local_origin_failures_need_their_switch(load_yaml: Load) -> None:
    """Istio refuses the one without the other."""
    loaded = load_yaml(
        entry() + rule(trafficPolicy="{outlierDetection: {consecutiveLocalOriginFailures: 1}}")
    )

    (line,) = lines(loaded)
    assert line == (
        f"a.yaml:14: DestinationRule/b: {SPEC}.consecutiveLocalOriginFailures: needs"
        " splitExternalLocalOriginErrors: true beside it [invalid-value]"
    )


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        pytest.param("0", "must be 1 or more, not 0 [out-of-range]", id="0"),
        pytest.param("65536", "must be 65535 or less, not 65536 [out-of-range]", id="65536"),
        pytest.param("0x" + "f" * 5000, "must be 65535 or less, not a huge number [out-of-range]", id="huge"),
        pytest.param(
            "'80'", "must be a whole number, not text (write 80, without quotes) [wrong-type]", id="text"
        ),
        pytest.param("", "must be a whole number, not nothing [wrong-type]", id="nothing"),
    ],
)
def test_bad_ports(load_yaml: Load, number: str, problem: str) -> None:
    """From 1 to 65535."""
    loaded = load_yaml(entry(ports=f"\n  - name: http\n    number: {number}"))

    assert lines(loaded) == [f"a.yaml:9: ServiceEntry/b: spec.ports[0].number: {problem}"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            {"resolution": "STATIC", "endpoints": "[{address: c.com}]"},
            "spec.endpoints[0].address: resolution STATIC needs IP addresses; write DNS for host names",
            id="static-with-a-name",
        ),
        pytest.param(
            {"endpoints": "[{address: 10.0.0.1}]"},
            "spec.endpoints: resolution NONE has no endpoints; write STATIC or DNS",
            id="none-with-endpoints",
        ),
        pytest.param(
            {"resolution": "DNS_ROUND_ROBIN", "endpoints": "[{address: c.com}, {address: d.com}]"},
            "spec.endpoints: resolution DNS_ROUND_ROBIN has at most one endpoint; write DNS",
            id="round-robin-of-two",
        ),
        pytest.param(
            {"ports": "[{number: 80, name: a}, {number: 80, name: b}]"},
            "spec.ports[1].number: another port has the same number; write one of its own",
            id="port-number-twice",
        ),
        pytest.param(
            {"ports": "[{number: 80, name: a}, {number: 81, name: a}]"},
            "spec.ports[1].name: another port has the same name; write one of its own",
            id="port-name-twice",
        ),
        pytest.param(
            {"resolution": "STATIC", "endpoints": "[{address: 10.0.0.1, ports: {htpp: 81}}]"},
            "spec.endpoints[0].ports.htpp: 'htpp' is no name of a port of this ServiceEntry;"
            " write one of spec.ports",
            id="port-name-that-is-none",
        ),
    ],
)
def test_bad_service_entries(load_yaml: Load, spec: Mapping[str, str], problem: str) -> None:
    """What does not fit together."""
    (line,) = lines(load_yaml(entry(**spec)))

    text, semicolon, hint = problem.partition("; ")
    shown = f"{text} ({hint})" if semicolon else text
    assert line.partition(": ServiceEntry/b: ")[2] == f"{shown} [invalid-value]"


def test_the_custom_rule_annotation_has_one_value(load_yaml: Load) -> None:
    """`true` as a boolean is no annotation; Kubernetes refuses it, too."""
    loaded = load_yaml(provider(metadata=CUSTOM.replace('"', "")))

    (line,) = lines(loaded)
    assert line == (
        "a.yaml:4: LLMProvider/a: metadata.annotations.asm.alibabacloud.com/custom-destinationrule:"
        " must be a string, not a boolean (put it in quotes) [wrong-type]"
    )


def test_a_whole_number_may_have_a_point(load_yaml: Load) -> None:
    """Kubernetes makes 80 of 80.0, and so nobody is told that it is a fraction."""
    loaded = load_yaml(entry("a.com", ports="[{number: 80.0, name: http}]"))

    assert loaded.findings == ()
    assert loaded.snapshot is not None
    assert (80, None) in loaded.snapshot.services["a.com"].targets


NAME = "not a resource's name (write lower-case letters, digits, '-' and '.') [invalid-value]"
NAMESPACE = "not a namespace (write lower-case letters, digits and '-') [invalid-value]"
TIME = "not a time (write one such as 2026-01-31T12:00:00Z) [invalid-value]"


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        pytest.param("name: a.b-1", None, id="name"),
        pytest.param("name: Not_Valid!", f"name: 'Not_Valid!': {NAME}", id="odd-name"),
        pytest.param("name: a..b", f"name: 'a..b': {NAME}", id="empty-label"),
        pytest.param(f"name: {'a' * 254}", f"name: {'a' * 80!r}: {NAME}", id="long-name"),
        pytest.param("name: a, namespace: a.b", f"namespace: 'a.b': {NAMESPACE}", id="odd-namespace"),
        pytest.param("name: a, creationTimestamp: 2026-01-31T12:00:00+08:00", None, id="time"),
        pytest.param("name: a, creationTimestamp: null", None, id="not-yet"),
        pytest.param(
            "name: a, creationTimestamp: today", f"creationTimestamp: 'today': {TIME}", id="no-time"
        ),
        pytest.param(
            "name: a, creationTimestamp: 2026-01-31",
            f"creationTimestamp: '2026-01-31': {TIME}",
            id="no-time-of-day",
        ),
    ],
)
def test_metadata(load_yaml: Load, metadata: str, line: str | None) -> None:
    """As a cluster takes them."""
    text = entry("a.com").replace("{name: b}", f"{{{metadata}}}")

    found = [finding.partition(": metadata.")[2] for finding in lines(load_yaml(text))]
    assert found == ([line] if line else [])
