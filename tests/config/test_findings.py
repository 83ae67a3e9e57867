"""One problem on one line; warnings and infos, each by an example."""

import pytest

from llm_fallback.config.findings import Code, Finding, Severity, has_errors
from tests.config.conftest import Load
from tests.config.written import CUSTOM, entry, provider, rule, to, virtual_service


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        pytest.param(
            Finding("a.yaml", 3, "LLMProvider/a", "spec.host", "is wrong", "correct it", Code.INVALID_VALUE),
            "a.yaml:3: LLMProvider/a: spec.host: is wrong (correct it) [invalid-value]",
            id="all-of-it",
        ),
        pytest.param(
            Finding("a.yaml", 3, "LLMProvider/a", "spec.host", "is wrong", "", Code.INVALID_VALUE),
            "a.yaml:3: LLMProvider/a: spec.host: is wrong [invalid-value]",
            id="no-hint",
        ),
        pytest.param(
            Finding("a.yaml", None, "", "", "is empty", "", Code.INVALID_VALUE),
            "a.yaml: is empty [invalid-value]",
            id="about-a-file",
        ),
        pytest.param(
            Finding("a.yaml", 1, "", "", "is odd", "", Code.INVALID_VALUE),
            "a.yaml:1: is odd [invalid-value]",
            id="about-a-line",
        ),
    ],
)
def test_a_finding_as_people_read_it(finding: Finding, line: str) -> None:
    """Place, resource, field, problem, hint, code."""
    assert str(finding) == line


def test_only_errors_keep_a_configuration_from_loading() -> None:
    """Warnings and infos do not."""
    error, warning, info = (
        Finding("a", None, "", "", "", "", Code.SKIPPED, severity) for severity in Severity
    )

    assert has_errors([info, error]) is True
    assert has_errors([info, warning]) is False
    assert has_errors([]) is False


A, B = provider(), entry()
DETECTED = "{outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}"
GOOD = to("b.com")
TO_NOBODY_ELSE = "[{route: [{destination: {host: b.com}, fallback: {target: {host: b.con}}}]}]"
WITH_CASE = "[{route: [{destination: {host: b.com}, fallback: {case: x, target: {host: a.com}}}]}]"


@pytest.mark.parametrize(
    ("text", "severity", "line"),
    [
        pytest.param(
            B + virtual_service("b.com", http=GOOD) + virtual_service("b.com", http=GOOD, name="late"),
            Severity.WARNING,
            (
                "a.yaml:20: VirtualService/late: spec.hosts[0]: has no effect: the host already belongs to"
                " a.yaml:9 VirtualService/vs (merge the two; the mesh does not) [shadowed-host]"
            ),
            id="shadowed-host",
        ),
        pytest.param(
            B + rule(trafficPolicy=DETECTED) + rule(name="late", trafficPolicy=DETECTED),
            Severity.WARNING,
            (
                "a.yaml:20: DestinationRule/late: spec.host: has no effect: the host already has"
                " a.yaml:9 DestinationRule/b (merge the two) [shadowed-rule]"
            ),
            id="shadowed-rule",
        ),
        pytest.param(
            B + virtual_service("b.com", http=GOOD[:-1] + ", " + GOOD[1:]),
            Severity.WARNING,
            (
                "a.yaml:14: VirtualService/vs: spec.http[1]: is never reached: the first rule takes every"
                " request (remove it, or move it up) [unreachable-route]"
            ),
            id="unreachable-route",
        ),
        pytest.param(
            A + B + rule(trafficPolicy=DETECTED) + virtual_service("b.com", http=WITH_CASE),
            Severity.WARNING,
            (
                "a.yaml:27: VirtualService/vs: spec.http[0].route[0].fallback.case: has no effect"
                " (the fallback acts whenever the destination has no healthy endpoint) [no-effect]"
            ),
            id="no-effect",
        ),
        pytest.param(
            B + virtual_service("b.com", http=to("elsewhere.net")),
            Severity.WARNING,
            (
                "a.yaml:14: VirtualService/vs: spec.http[0].route[0].destination.host: no LLMProvider or"
                " ServiceEntry has this host: requests to it get 503 (add one, or correct the name)"
                " [unknown-host]"
            ),
            id="unknown-host-of-a-destination",
        ),
        pytest.param(
            B + rule(trafficPolicy=DETECTED) + virtual_service("b.com", http=TO_NOBODY_ELSE),
            Severity.WARNING,
            (
                "a.yaml:21: VirtualService/vs: spec.http[0].route[0].fallback.target.host: no LLMProvider or"
                " ServiceEntry has this host: it is never used (did you mean b.com?) [unknown-host]"
            ),
            id="unknown-host-of-a-fallback",
        ),
        pytest.param(
            B + virtual_service("b.com", http=to("b.com", port=81)),
            Severity.WARNING,
            (
                "a.yaml:14: VirtualService/vs: spec.http[0].route[0].destination.port.number: the host has no"
                " such port: requests to it get 503 (it has 80) [unknown-port]"
            ),
            id="unknown-port",
        ),
        pytest.param(
            entry(resolution="STATIC"),
            Severity.WARNING,
            (
                "a.yaml:5: ServiceEntry/b: spec.endpoints: there is none: requests to its hosts get 503"
                " (add endpoints with their addresses, or write resolution: DNS) [no-endpoints]"
            ),
            id="no-endpoints",
        ),
        pytest.param(
            B + virtual_service("b.con", http=GOOD),
            Severity.WARNING,
            (
                "a.yaml:13: VirtualService/vs: spec.hosts[0]: no LLMProvider or ServiceEntry has this host"
                " (did you mean b.com?) [unknown-host]"
            ),
            id="unknown-host-that-looks-like-a-slip",
        ),
        pytest.param(
            B + rule("elsewhere.net", trafficPolicy=DETECTED),
            Severity.WARNING,
            (
                "a.yaml:13: DestinationRule/b: spec.host: has no effect: no LLMProvider or ServiceEntry has"
                " this host (correct the name, or remove the rule) [unknown-host]"
            ),
            id="unknown-host-of-a-rule",
        ),
        pytest.param(
            B + rule(trafficPolicy=f"{{portLevelSettings: [{{port: {{number: 443}}, {DETECTED[1:-1]}}}]}}"),
            Severity.WARNING,
            (
                "a.yaml:14: DestinationRule/b: spec.trafficPolicy.portLevelSettings[0].port.number:"
                " has no effect: the host has no such port (it has 80) [unknown-port]"
            ),
            id="unknown-port-of-a-rule",
        ),
        pytest.param(
            B + rule(trafficPolicy="{outlierDetection: {consecutiveErrors: 3, maxEjectionPercent: 100}}"),
            Severity.WARNING,
            (
                "a.yaml:14: DestinationRule/b: spec.trafficPolicy.outlierDetection.consecutiveErrors:"
                " has no effect (write consecutive5xxErrors) [no-effect]"
            ),
            id="no-effect-of-a-deprecated-field",
        ),
        pytest.param(
            A + rule("a.com", trafficPolicy=DETECTED),
            Severity.WARNING,
            (
                "a.yaml:12: DestinationRule/b: spec.host: has no effect: the rule generated for LLMProvider/a"
                ' stands (annotate that LLMProvider with asm.alibabacloud.com/custom-destinationrule: "true")'
                " [generated-rule]"
            ),
            id="generated-rule",
        ),
        pytest.param(
            provider(metadata=CUSTOM) + rule("a.com", trafficPolicy=DETECTED),
            Severity.WARNING,
            (
                "a.yaml:13: DestinationRule/b: spec.trafficPolicy: has no tls: requests to this provider,"
                " with its key, are sent unencrypted (add tls: {mode: SIMPLE}, or mode DISABLE if that is"
                " meant) [no-tls]"
            ),
            id="no-tls",
        ),
        pytest.param(
            B + "---\napiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Service\n",
            Severity.INFO,
            "a.yaml: 2 resources of other kinds were skipped (Deployment, Service) [skipped]",
            id="skipped",
        ),
    ],
)
def test_warnings_and_infos(load_yaml: Load, text: str, severity: Severity, line: str) -> None:
    """Said, and loaded nevertheless."""
    loaded = load_yaml(text)

    assert [str(finding) for finding in loaded.findings] == [line]
    assert {finding.severity for finding in loaded.findings} == {severity}
    assert loaded.snapshot is not None


@pytest.mark.parametrize("odd", ["a\nb", "a\rb", "a\x1b[31mb", "a\u2028b"])
def test_a_finding_is_one_printable_line(odd: str) -> None:
    """Whatever the names in a file hold: a terminal and a log get no line of somebody else's."""
    line = str(Finding("a.yaml", 1, f"LLMProvider/{odd}", f"spec.{odd}", "is wrong", "", Code.INVALID_VALUE))

    assert line.isprintable()
    assert line.startswith("a.yaml:1: LLMProvider/a")
    assert line.endswith("is wrong [invalid-value]")
