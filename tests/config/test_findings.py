"""One problem on one line, and a fixture for every code."""

import pytest

from llm_fallback.config.findings import Code, Finding, Severity, has_errors
from tests.config.conftest import Load
from tests.config.written import CUSTOM, entry, openai, policy, provider, rule, to, virtual_service


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
    error, warning, info = (Finding("a", None, "", "", "", "", Code.SKIPPED, severity) for severity in Severity)

    assert has_errors([info, error]) is True
    assert has_errors([info, warning]) is False
    assert has_errors([]) is False


A, B = provider(), entry()
DETECTED = "{outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}"
GOOD = to("b.com")
TWO_WITHOUT_WEIGHT = "[{route: [{destination: {host: b.com}}, {destination: {host: a.com}}]}]"
TO_NOBODY_ELSE = "[{route: [{destination: {host: b.com}, fallback: {target: {host: b.con}}}]}]"
WITH_CASE = "[{route: [{destination: {host: b.com}, fallback: {case: x, target: {host: a.com}}}]}]"

ERRORS = [
    pytest.param(
        "a: [\n",
        "a.yaml:2: not valid YAML: did not find expected node content [yaml-syntax]",
        id="yaml-syntax",
    ),
    pytest.param(
        B + "  hosts: []\n",
        "a.yaml:8: duplicate key 'hosts' (keep one of them) [duplicate-key]",
        id="duplicate-key",
    ),
    pytest.param(
        A + "---\nspec: {}\n",
        "a.yaml:8: ?/?: apiVersion: is missing (every resource has apiVersion and kind) [unknown-kind]",
        id="unknown-kind-none",
    ),
    pytest.param(
        B.replace("ServiceEntry", "ServiceEntri"),
        (
            "a.yaml:3: ServiceEntri/b: kind: unknown kind 'ServiceEntri' (did you mean ServiceEntry?)"
            " [unknown-kind]"
        ),
        id="unknown-kind",
    ),
    pytest.param(
        A.replace("v1beta1", "v1"),
        (
            "a.yaml:2: LLMProvider/a: apiVersion: no LLMProvider in apiVersion 'istio.alibabacloud.com/v1'"
            " (write istio.alibabacloud.com/v1beta1) [unknown-version]"
        ),
        id="unknown-version",
    ),
    pytest.param(
        B.replace("io/v1", "io/v2"),
        (
            "a.yaml:2: ServiceEntry/b: apiVersion: no ServiceEntry in apiVersion 'networking.istio.io/v2'"
            " (write networking.istio.io/v1 or networking.istio.io/v1beta1 or networking.istio.io/v1alpha3)"
            " [unknown-version]"
        ),
        id="unknown-version-of-istio",
    ),
    pytest.param(
        A + "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: r}\n",
        "a.yaml:9: Sidecar/r: kind: kind Sidecar is not supported (remove it) [unsupported-kind]",
        id="unsupported-kind",
    ),
    pytest.param(
        B.replace("  hosts: [b.com]\n", ""),
        "a.yaml:5: ServiceEntry/b: spec.hosts: is required [missing-field]",
        id="missing-field",
    ),
    pytest.param(
        entry(endponts="[]"),
        "a.yaml:8: ServiceEntry/b: spec.endponts: unknown field (did you mean endpoints?) [unknown-field]",
        id="unknown-field",
    ),
    pytest.param(
        provider(configs="{routeSpecificConfigs: {vip: {openAIConfig: {modle: x}}}}"),
        (
            "a.yaml:7: LLMProvider/a: spec.configs.routeSpecificConfigs.vip.openAIConfig.modle: unknown field"
            " (did you mean model?) [unknown-field]"
        ),
        id="unknown-field-in-a-mapping",
    ),
    pytest.param(
        B + virtual_service("b.com", http="[{match: [{headers: {a: {exct: b}}}], route: []}]"),
        (
            "a.yaml:14: VirtualService/vs: spec.http[0].match[0].headers.a.exct: unknown field"
            " (did you mean exact?) [unknown-field]"
        ),
        id="unknown-field-of-a-match",
    ),
    pytest.param(
        B + virtual_service("b.com", http="[{delegate: {name: a}, route: [{destination: {host: b.com}}]}]"),
        (
            "a.yaml:14: VirtualService/vs: spec.http[0].delegate: this field of the mesh's is not supported"
            " (remove it) [unsupported-field]"
        ),
        id="unsupported-field",
    ),
    pytest.param(
        entry(ports="{number: 80}"),
        "a.yaml:7: ServiceEntry/b: spec.ports: must be a list, not a mapping [wrong-type]",
        id="wrong-type",
    ),
    pytest.param(
        entry(ports="[{number: 0, name: http}]"),
        "a.yaml:7: ServiceEntry/b: spec.ports[0].number: must be 1 or more, not 0 [out-of-range]",
        id="out-of-range",
    ),
    pytest.param(
        entry("b_c.com"),
        (
            "a.yaml:6: ServiceEntry/b: spec.hosts[0]: 'b_c.com': not a host name"
            " (write a DNS name such as api.example.com) [invalid-value]"
        ),
        id="invalid-value",
    ),
    pytest.param(
        B + virtual_service("b.com", http="[{match: [{headers: {'a b': {exact: c}}}], route: []}]"),
        (
            "a.yaml:14: VirtualService/vs: spec.http[0].match[0].headers.a b: 'a b': not the name of a header"
            " (write one such as x-user-type) [invalid-value]"
        ),
        id="invalid-value-as-a-key",
    ),
    pytest.param(
        B + virtual_service("b.com", "B.com", http=GOOD),
        (
            "a.yaml:13: VirtualService/vs: spec.hosts[1]: overlaps hosts[0] (remove one of the two)"
            " [invalid-value]"
        ),
        id="invalid-value-beside-another",
    ),
    pytest.param(
        B + virtual_service("b.com", http="[{rewrite: {uri: /a}}]"),
        (
            "a.yaml:14: VirtualService/vs: spec.http[0].route: is required, or redirect or directResponse"
            " instead [missing-field]"
        ),
        id="missing-field-or-another",
    ),
    pytest.param(
        B + rule(trafficPolicy="{tls: {mode: ISTIO_MUTUAL}}"),
        (
            "a.yaml:14: DestinationRule/b: spec.trafficPolicy.tls.mode: 'ISTIO_MUTUAL': is not supported"
            " (write SIMPLE or MUTUAL) [unsupported-value]"
        ),
        id="unsupported-value",
    ),
    pytest.param(
        B + rule(trafficPolicy="{loadBalancer: {simple: LEAST_REQEST}}"),
        (
            "a.yaml:14: DestinationRule/b: spec.trafficPolicy.loadBalancer.simple: 'LEAST_REQEST': not one of"
            " the values that are supported (did you mean LEAST_REQUEST?) [invalid-value]"
        ),
        id="invalid-value-of-several",
    ),
    pytest.param(
        B + rule(trafficPolicy="{outlierDetection: {maxEjectionPercent: 1.5}}"),
        (
            "a.yaml:14: DestinationRule/b: spec.trafficPolicy.outlierDetection.maxEjectionPercent: must be a"
            " whole number, not a fraction [wrong-type]"
        ),
        id="wrong-type-of-a-number",
    ),
    pytest.param(
        provider(configs=openai(apiKey='"${KEY}"')),
        (
            "a.yaml:7: LLMProvider/a: spec.configs.defaultConfig.openAIConfig.apiKey: environment variable"
            " KEY is not set (export KEY=... before starting, or write the value here) [missing-variable]"
        ),
        id="missing-variable",
    ),
    pytest.param(
        provider(configs=openai(apiKey='"${my-key}"')),
        (
            "a.yaml:7: LLMProvider/a: spec.configs.defaultConfig.openAIConfig.apiKey: not a reference to an"
            " environment variable (write ${NAME}, with letters, digits and underscores in the name)"
            " [invalid-variable]"
        ),
        id="invalid-variable",
    ),
    pytest.param(
        "",
        (
            "a.yaml: no LLMProvider or ServiceEntry: nothing to manage"
            " (name the files or folders with the mesh's YAML) [no-configuration]"
        ),
        id="no-configuration",
    ),
    pytest.param(
        B + entry("c.com"),
        (
            "a.yaml:11: ServiceEntry/b: metadata.name: a ServiceEntry of this name is already at"
            " a.yaml:2 ServiceEntry/b (rename or remove one of them) [duplicate-resource]"
        ),
        id="duplicate-resource",
    ),
    pytest.param(
        A + provider("A.com", name="c"),
        (
            "a.yaml:12: LLMProvider/c: spec.host: the host already belongs to a.yaml:2 LLMProvider/a"
            " (a host has one LLMProvider) [duplicate-host]"
        ),
        id="duplicate-host-of-a-provider",
    ),
    pytest.param(
        B + entry("B.com.", name="c"),
        (
            "a.yaml:13: ServiceEntry/c: spec.hosts[0]: the host is already described by"
            " a.yaml:2 ServiceEntry/b (keep one of them) [duplicate-host]"
        ),
        id="duplicate-host-of-a-service-entry",
    ),
    pytest.param(
        B + policy("{kind: VirtualService, name: vs}"),
        (
            "a.yaml:13: LLMFallbackPolicy/p: spec.targetRefs[0].name: there is no VirtualService of this name"
            " in namespace default (correct the name, or remove it) [unknown-target]"
        ),
        id="unknown-target",
    ),
    pytest.param(
        A + policy("{kind: LLMProvider, name: a}") + policy("{kind: LLMProvider, name: a}", name="q"),
        (
            "a.yaml:18: LLMFallbackPolicy/q: spec.targetRefs[0]: LLMProvider/a already has a policy, a.yaml:8"
            " LLMFallbackPolicy/p (keep one of the two) [duplicate-policy]"
        ),
        id="duplicate-policy",
    ),
    pytest.param(
        A + policy("{kind: LLMProvider, name: a}", chain="[{host: elsewhere.net}]"),
        (
            "a.yaml:13: LLMFallbackPolicy/p: spec.chain[0].host: no LLMProvider or ServiceEntry has this host"
            " (add one, or correct the name) [unknown-host]"
        ),
        id="unknown-host-in-a-chain",
    ),
    pytest.param(
        A + B + virtual_service("b.com", http=TWO_WITHOUT_WEIGHT),
        (
            "a.yaml:20: VirtualService/vs: spec.http[0].route: the weights sum to 0"
            " (give at least one destination a weight) [zero-weight]"
        ),
        id="zero-weight",
    ),
    pytest.param(
        B + rule(trafficPolicy="{tls: {mode: SIMPLE, caCertificates: nowhere.pem}}"),
        (
            "a.yaml:14: DestinationRule/b: spec.trafficPolicy.tls.caCertificates: the file cannot be read:"
            " No such file or directory (name a PEM file, or 'system') [unreadable-file]"
        ),
        id="unreadable-file",
    ),
    pytest.param(
        B
        + rule(
            trafficPolicy="{portLevelSettings: [{port: {number: 80},"
            " tls: {mode: SIMPLE, caCertificates: a.yaml}}]}"
        ),
        (
            "a.yaml:14: DestinationRule/b: spec.trafficPolicy.portLevelSettings[0].tls.caCertificates:"
            " the file holds no certificates (name a PEM file, or 'system') [unreadable-file]"
        ),
        id="unreadable-file-without-certificates",
    ),
]


@pytest.mark.parametrize(("text", "line"), ERRORS)
def test_errors(load_yaml: Load, text: str, line: str) -> None:
    """One line for one mistake, and nothing is loaded."""
    loaded = load_yaml(text)

    assert [str(finding) for finding in loaded.findings] == [line]
    assert {finding.severity for finding in loaded.findings} == {Severity.ERROR}
    assert loaded.snapshot is None


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
