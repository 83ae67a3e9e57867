"""Errors, each by an example."""

import pytest

from llm_fallback.config.findings import Severity
from tests.config.conftest import Load
from tests.config.written import entry, openai, policy, provider, rule, to, virtual_service

A, B = provider(), entry()
GOOD = to("b.com")
TWO_WITHOUT_WEIGHT = "[{route: [{destination: {host: b.com}}, {destination: {host: a.com}}]}]"

ERRORS = [
    pytest.param(
        "a: [\n",
        "a.yaml:2: not valid YAML: did not find expected node content [yaml-syntax]",
        id="yaml-syntax",
    ),
    pytest.param(
        B + "  hosts: []\n",
        "a.yaml:8: ServiceEntry/b: spec.hosts: duplicate key 'hosts' (keep one of them) [duplicate-key]",
        id="duplicate-key",
    ),
    pytest.param(
        A + "---\nspec: {}\n",
        "a.yaml:8: ?/?: apiVersion: is missing (every resource has apiVersion and kind) [unknown-kind]",
        id="unknown-kind-none",
    ),
    pytest.param(
        A + B.replace("networking.istio.io", "networking.istoi.io").replace("ServiceEntry", "ServiceEntri"),
        (
            "a.yaml:8: ServiceEntri/b: apiVersion: unknown kind 'ServiceEntri' in the unknown group"
            " 'networking.istoi.io' (did you mean ServiceEntry in networking.istio.io?) [unknown-kind]"
        ),
        id="unknown-kind-in-an-unknown-group",
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
        (
            "a.yaml:7: ServiceEntry/b: spec.ports: must be a list, not a mapping"
            " (put '- ' before its first field, and the others below that) [wrong-type]"
        ),
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
            "a.yaml:13: ServiceEntry/c: spec.hosts[0]: port 80 of the host is already described by"
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
