"""What to write instead, for what people often get wrong."""

import pytest

from tests.config.conftest import Load
from tests.config.written import entry, provider, rule, virtual_service

HOST = entry("a.com", name="a")


def http(rule: str) -> str:
    """A host, and a VirtualService with one rule of it."""
    return HOST + virtual_service("a.com", http=f"[{rule}]")


TO_A = "route: [{destination: {host: a.com}}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            http("{route: [{destination: {host: a.com, port: 80}}]}"),
            "destination.port: must be a mapping, not a number (write {number: 80})",
            id="port",
        ),
        pytest.param(
            http("{route: [{destination: {host: a.com, port: {number: 80, name: http}}}]}"),
            "destination.port.name: the mesh does not have this field any more (write number)",
            id="port-by-name",
        ),
        pytest.param(
            http("{route: [{destination: {host: a.com, port: {number: 0o120}}}]}"),
            "port.number: must be a whole number, not text (write it in decimal)",
            id="port-in-octal",
        ),
        pytest.param(
            http("{directResponse: {status: 200, body: hello}}"),
            "body: must be a mapping, not text (write {string: 'hello'})",
            id="body",
        ),
        pytest.param(
            http(f"{{{TO_A}, fault: {{abort: {{percentage: 50, httpStatus: 500}}}}}}"),
            "percentage: must be a mapping, not a number (write {value: 50})",
            id="percentage",
        ),
        pytest.param(
            http(f"{{{TO_A}, mirror: {{host: a.com}}, mirrorPercentage: 0.5}}"),
            "mirrorPercentage: must be a mapping, not a fraction (write {value: 0.5})",
            id="small-percentage",
        ),
        pytest.param(
            http(f"{{{TO_A}, retries: 3}}"),
            "retries: must be a mapping, not a number (write {attempts: 3})",
            id="retries",
        ),
        pytest.param(
            entry("b.com", resolution="DNS", endpoints="[{address: !!binary aGVsbG8=}]"),
            "address: must be a string, not binary data",
            id="binary",
        ),
        pytest.param(
            HOST + rule("a.com", trafficPolicy="{tls: {mode: MUTUAL}}"),
            "tls.clientCertificate: mode MUTUAL needs it, and privateKey (name PEM files)",
            id="certificate-and-key",
        ),
        pytest.param(
            http("{route: [{destination: a.com}]}"),
            "destination: must be a mapping, not text (write {host: 'a.com'})",
            id="destination",
        ),
        pytest.param(
            http(f"{{match: [{{uri: /v1}}], {TO_A}}}"),
            "uri: must be a mapping, not text (write {exact: '/v1'} or {prefix: '/v1'})",
            id="uri",
        ),
        pytest.param(
            http(f"{{match: [{{headers: {{authorization: s3cret}}}}], {TO_A}}}"),
            "headers.authorization: must be a mapping, not text (write {exact: ...} or {prefix: ...})",
            id="header-may-be-a-secret",
        ),
        pytest.param(
            http(f"{{match: {{uri: {{prefix: /v1}}}}, {TO_A}}}"),
            "match: must be a list, not a mapping (put '- ' before its first field, and the others below",
            id="match",
        ),
        pytest.param(
            HOST + virtual_service(http=f"[{{{TO_A}}}]").replace("hosts: []", "hosts: a.com"),
            "hosts: must be a list, not text (put '- ' before it, on a line of its own)",
            id="hosts",
        ),
        pytest.param(
            http(f"{{{TO_A}, retries: [{{attempts: 1}}]}}"),
            "retries: must be a mapping, not a list (remove the '- ' before its first field)",
            id="a-list-of-one",
        ),
        pytest.param(
            http("{route: [{destination: {host: a.com}, weight: '50'}]}"),
            "weight: must be a whole number, not text (write 50, without quotes)",
            id="weight",
        ),
        pytest.param(
            http("{route: [{destination: {host: a.com}, weight: 50%}]}"),
            "weight: must be a whole number, not text",
            id="weight-that-is-no-number",
        ),
        pytest.param(
            http(f"{{{TO_A}, mirror: {{host: a.com}}, mirrorPercentage: {{value: '0.5'}}}}"),
            "mirrorPercentage.value: must be a number, not text (write 0.5, without quotes)",
            id="fraction",
        ),
        pytest.param(
            HOST + rule("a.com", trafficPolicy="{tls: {mode: SIMPLE, insecureSkipVerify: 'true'}}"),
            "insecureSkipVerify: must be true or false, not text (write true, without quotes)",
            id="boolean",
        ),
        pytest.param(
            http(f"{{{TO_A}, fallback: {{target: {{host: a.com}}}}}}"),
            "spec.http[0].fallback: unknown field (write it in route[0])",
            id="fallback-too-high",
        ),
        pytest.param(
            http("{route: [{destination: {host: a.com, fallback: {target: {host: a.com}}}}]}"),
            "destination.fallback: unknown field (write it beside destination, not in it)",
            id="fallback-too-deep",
        ),
        pytest.param(
            http("{route: [{destination: {host: a.com}, timeout: 1s}]}"),
            "route[0].timeout: unknown field (write it beside route, not in it)",
            id="timeout-too-deep",
        ),
        pytest.param(
            http("{route: [{host: a.com, destination: {host: a.com}}]}"),
            "route[0].host: unknown field (write it in destination)",
            id="host-too-high",
        ),
        pytest.param(
            HOST + rule("a.com", outlierDetection="{consecutive5xxErrors: 1}"),
            "spec.outlierDetection: unknown field (write it in trafficPolicy)",
            id="detection-too-high",
        ),
        pytest.param(
            provider(configs="{defaultConfig: {apiKey: s3cret}}"),
            "defaultConfig.apiKey: unknown field (write it in openAIConfig)",
            id="key-too-high",
        ),
        pytest.param(
            provider(configs="{openAIConfig: {model: qwen}}"),
            "configs.openAIConfig: unknown field (write it in defaultConfig)",
            id="config-too-high",
        ),
        pytest.param(
            http(f"{{{TO_A}, retries: {{attempts: 1, retryOn: 'conect-failure,5xx'}}}}"),
            "has a word that is no condition (did you mean connect-failure?)",
            id="retry-condition",
        ),
        pytest.param(
            http(f"{{{TO_A}, retries: {{attempts: 1, retryOn: zzz}}}}"),
            "has a word that is no condition (write such as 5xx,reset or codes such as 503)",
            id="no-retry-condition-at-all",
        ),
        pytest.param(
            http(f"{{{TO_A}, fault: {{abort: {{percent: 100, httpStatus: 500}}}}}}"),
            "abort.percent: the mesh does not have this field any more (write percentage: {value: ...})",
            id="field-of-2018",
        ),
        pytest.param(
            http(f"{{{TO_A}, websocketUpgrade: true}}"),
            "the mesh does not have this field any more (remove it: connections are upgraded without it)",
            id="field-that-nobody-needs",
        ),
    ],
)
def test_what_to_write_instead(load_yaml: Load, text: str, said: str) -> None:
    """One line, with the hint that repairs it, and without what may be a secret."""
    (line,) = [str(finding) for finding in load_yaml(text).findings]

    assert said in line
    assert "s3cret" not in line


def test_a_value_from_a_variable_is_not_in_a_hint(load_yaml: Load) -> None:
    """It might be a secret, whatever the field."""
    text = http("{route: [{destination: {host: a.com, port: '${PORT}'}}]}")
    (line,) = [str(finding) for finding in load_yaml(text, environment={"PORT": "s3cret"}).findings]

    assert "(write {number: ...})" in line
    assert "s3cret" not in line
