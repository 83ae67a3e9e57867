"""What came from the environment, and what is a credential, is in no finding."""

import pytest

from llm_fallback.config import Loaded
from llm_fallback.config.routes import DirectResponse, Route
from llm_fallback.resources.base import Expanded
from tests.config.conftest import Load
from tests.config.written import entry, openai, provider, rule, to, virtual_service


def lines(loaded: Loaded) -> list[str]:
    return [str(finding) for finding in loaded.findings]


FIELDS = [
    pytest.param(provider("s"), id="host-of-a-provider"),
    pytest.param(provider(name="s"), id="name"),
    pytest.param(provider(path="s"), id="path"),
    pytest.param(provider(configs=openai(model="s", stream="1")), id="model"),
    pytest.param(provider(configs=openai(stream="s")), id="stream"),
    pytest.param(provider(configs=openai(apiKey="s")), id="api-key"),
    pytest.param(entry("s"), id="host-of-an-entry"),
    pytest.param(entry(ports="[{number: s, name: http}]"), id="port"),
    pytest.param(entry(ports="[{number: 80, name: http, protocol: s}]"), id="protocol"),
    pytest.param(entry(resolution="s"), id="resolution"),
    pytest.param(entry(resolution="STATIC", endpoints="[{address: s}]"), id="address"),
    pytest.param(entry() + rule(trafficPolicy="{tls: {mode: s}}"), id="tls-mode"),
    pytest.param(entry() + rule(trafficPolicy="{tls: {mode: SIMPLE, caCertificates: s}}"), id="ca-file"),
    pytest.param(entry() + rule(trafficPolicy="{outlierDetection: {interval: s}}"), id="interval"),
    pytest.param(entry() + rule(trafficPolicy="{outlierDetection: {maxEjectionPercent: s}}"), id="percent"),
    pytest.param(entry() + rule(trafficPolicy="{outlierDetection: s}"), id="a-mapping"),
    pytest.param(entry() + rule("s", trafficPolicy="{tls: {mode: SIMPLE}}"), id="host-of-a-rule"),
    pytest.param(entry() + virtual_service("s", http=to("s")), id="host-of-a-route"),
    pytest.param(entry() + virtual_service("b.com", http=to("b.com"), gateways="[s]"), id="gateway"),
    pytest.param(
        entry()
        + virtual_service("b.com", http=to("b.com").replace("host: b.com", "host: b.com, port: {number: s}")),
        id="port-of-a-route",
    ),
]


@pytest.mark.parametrize("value", ["s3cret", "s3cret with\nnewline", "-4242424", "424242", "s3cret.net"])
@pytest.mark.parametrize("text", FIELDS)
def test_a_value_from_the_environment_is_never_shown(load_yaml: Load, text: str, value: str) -> None:
    """Whatever is wrong with it, and whatever else is wrong."""
    wrong = (
        text.replace(" s}", " '${SECRET}'}").replace("[s]", "['${SECRET}']").replace(" s\n", " '${SECRET}'\n")
    )
    wrong = wrong.replace(" s,", " '${SECRET}',")
    assert wrong != text

    loaded = load_yaml(
        wrong + provider("other.com", name="other", nonsense="1"), environment={"SECRET": value}
    )

    assert loaded.snapshot is None
    shown = " ".join(lines(loaded))
    assert "s3cret" not in shown
    assert "424242" not in shown


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        pytest.param(
            '"s3cret\\nx"',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="newline",
        ),
        pytest.param(
            '" s3cret"',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="space",
        ),
        pytest.param(
            '"s3crét"',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="é",
        ),
        pytest.param(
            '""',
            "a key is printable ASCII without spaces, and not empty [invalid-value]",
            id="empty",
        ),
        pytest.param(
            "3735928559", "must be a string, not a number (put it in quotes) [wrong-type]", id="number"
        ),
        pytest.param("[s3cret]", "must be a string, not a list [wrong-type]", id="list"),
        pytest.param("{s3cret: s3cret}", "must be a string, not a mapping [wrong-type]", id="mapping"),
    ],
)
def test_a_bad_key_is_never_shown(load_yaml: Load, key: str, problem: str) -> None:
    """Not even where it is written in the file."""
    loaded = load_yaml(provider(configs=openai(apiKey=key)))

    assert lines(loaded) == [
        f"a.yaml:7: LLMProvider/a: spec.configs.defaultConfig.openAIConfig.apiKey: {problem}"
    ]


KEY = "sk-YAMLs3cret8888"
RANDOM = "s3cretRAND0Mabcdefghij99"


def matching(condition: str) -> str:
    return entry() + virtual_service(
        "b.com", http=to("b.com").replace("route:", f"match: [{condition}], route:", 1)
    )


def acting(fields: str) -> str:
    return entry() + virtual_service("b.com", http=to("b.com").replace("route:", f"{fields}, route:", 1))


@pytest.mark.parametrize("key", [KEY, RANDOM])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            provider(configs="{defaultConfig: {openAIConfig: {apiKey:%s}}}"),
            "openAIConfig.apiKey: unknown field (write a space after the colon)",
            id="no-space",
        ),
        pytest.param(
            provider(configs=openai(**{"%s": "x"})), "openAIConfig.[redacted]: unknown field", id="a-name"
        ),
        pytest.param(
            provider(configs=openai(**{"password!%s": "x"})),
            "openAIConfig.password: unknown field",
            id="after-what-no-name-has",
        ),
        pytest.param(
            provider(configs="{defaultConfig: {openAIConfig: {%s: 1, %s: 2}}}"),
            "duplicate key '[redacted]'",
            id="twice",
        ),
        pytest.param(
            provider(path="'/v1?key=%s'"),
            "'/v1?key=[redacted]': a path starts with /",
            id="in-the-query-of-a-path",
        ),
        pytest.param(
            provider("'https://b.test/v1?key=%s'"),
            "'https://b.test/v1?key=[redacted]': not a host name",
            id="in-the-query-of-a-host",
        ),
        pytest.param(provider("'user:%s@a.test'"), "'[redacted]@a.test': not a host name", id="userinfo"),
        pytest.param(
            provider("'https://user:%s@a.test'"),
            "'https://[redacted]@a.test': not a host name",
            id="userinfo-of-a-url",
        ),
        pytest.param(
            acting("mirror: {host: 'user:%s@a.test'}"), "'[redacted]@a.test': not a host name", id="mirror"
        ),
        pytest.param(acting("rewrite: '/v1?key=%s'"), "must be a mapping, not text", id="rewrite"),
        pytest.param(
            matching("{uri: '/v1?key=%s'}"),
            "match[0].uri: must be a mapping, not text (write {exact: ...} or {prefix: ...})",
            id="uri",
        ),
        pytest.param(
            acting("corsPolicy: {allowOrigins: ['https://u:%s@h']}"),
            "allowOrigins[0]: must be a mapping, not text (write {exact: ...} or {prefix: ...})",
            id="origin",
        ),
        pytest.param(
            matching("{headers: {authorization: {regex: '(%s'}}}"),
            "headers.authorization.regex: not a regex in RE2's syntax",
            id="regex-of-a-header",
        ),
        pytest.param(
            matching("{uri: {regex: '(%s'}}"), "uri.regex: '([redacted]': not a regex", id="regex-of-a-path"
        ),
        pytest.param(
            matching("{headers: {'authorization:%s': {exact: a}}}"),
            "headers.authorization: 'authorization': not the name of a header",
            id="a-headers-name-and-more",
        ),
        pytest.param(provider().replace("LLMProvider", "%s"), "kind [redacted] is not supported", id="kind"),
        pytest.param(
            entry(ports="[{number: 80, name: http, protocol: '%s'}]"),
            "protocol: '[redacted]': not one of the values",
            id="what-is-read-as-capitals",
        ),
    ],
)
def test_a_key_in_the_wrong_place_is_never_shown(load_yaml: Load, text: str, said: str, key: str) -> None:
    """It may have slipped into any value, and into any name."""
    loaded = load_yaml(text.replace("%s", key))

    shown = " ".join(lines(loaded))
    assert "s3cret" not in shown.lower()
    assert said in shown


@pytest.mark.parametrize("field", ["authorization", "x-api-key", "cookie"])
def test_what_a_credential_has_to_be_is_never_shown(load_yaml: Load, field: str) -> None:
    """Even if it looks like nothing at all."""
    loaded = load_yaml(matching(f"{{headers: {{{field}: {{regex: '(s3cret'}}}}}}"))

    assert "s3cret" not in " ".join(lines(loaded))
    assert field in " ".join(lines(loaded))


def test_names_of_resources_are_as_they_are_written(load_yaml: Load) -> None:
    """They are shown everywhere, and so no variable is replaced in them; nor in what tools keep there."""
    metadata = (
        "metadata: {name: '${SECRET}', namespace: '${SECRET}', annotations: {last-applied: '${NOWHERE}'}}"
    )
    text = provider().replace("metadata: {name: a}", metadata)
    assert text != provider()

    loaded = load_yaml(text, environment={"SECRET": "s3cret"})

    problem = "a variable is not replaced in what names a resource (write the name itself) [invalid-variable]"
    assert lines(loaded) == [
        f"a.yaml:4: LLMProvider/${{SECRET}}: metadata.name: {problem}",
        f"a.yaml:4: LLMProvider/${{SECRET}}: metadata.namespace: {problem}",
    ]


def test_numbers_from_the_environment(load_yaml: Load) -> None:
    """A number where a number is wanted."""
    loaded = load_yaml(
        entry(ports="[{number: 80, name: http, targetPort: '${PORT}'}]")
        + rule(
            trafficPolicy="{outlierDetection: {consecutive5xxErrors: '${N}', interval: '${N}s',"
            " maxEjectionPercent: 100}}"
        ),
        environment={"PORT": "8443", "N": "3"},
    )

    assert lines(loaded) == []
    assert loaded.snapshot is not None
    target = loaded.snapshot.services["b.com"].targets[80, None]
    assert target.endpoints[0].port == 8443
    assert target.outlier is not None
    assert (target.outlier.consecutive_5xx, target.outlier.interval_s) == (3, 3.0)


def test_a_header_that_a_rule_sets_is_never_shown(load_yaml: Load) -> None:
    """Any may hold a key."""
    rule = to("b.com").replace("route:", "headers: {request: {set: {x-api-key: '%s3cret'}}}, route:", 1)

    loaded = load_yaml(entry() + virtual_service("b.com", http=rule))

    assert [finding.field for finding in loaded.findings] == ["spec.http[0].headers.request.set.x-api-key"]
    assert "s3cret" not in " ".join(lines(loaded))


def rule_of(load_yaml: Load, rule: str) -> Route:
    """The compiled rule, with TENANT in the environment."""
    loaded = load_yaml(entry() + virtual_service("b.com", http=rule), environment={"TENANT": "s3cret"})
    assert loaded.snapshot is not None, lines(loaded)
    return loaded.snapshot.virtual_hosts["b.com"].routes[0]


def test_what_requests_get_from_the_environment_is_marked(load_yaml: Load) -> None:
    """So that it is sent and not shown; what was written in the file is not marked."""
    headers = "headers: {request: {set: {x-a: '${TENANT}', x-b: b}}, response: {add: {x-c: '${TENANT}'}}}"
    rewrite = "rewrite: {uri: '/${TENANT}'}"
    rule = to("b.com").replace("route:", f"{headers}, {rewrite}, route:", 1)
    route = rule_of(load_yaml, rule.replace("destination:", f"{headers}, destination:", 1))

    assert isinstance(route.action, tuple)
    assert route.action[0].headers == route.headers
    assert route.headers.request.set == (("x-a", "s3cret"), ("x-b", "b"))
    assert [type(value) for _, value in route.headers.request.set] == [Expanded, str]
    assert isinstance(route.headers.response.add[0][1], Expanded)
    assert route.rewrite
    assert route.rewrite.uri == "/s3cret"
    assert isinstance(route.rewrite.uri, Expanded)


def test_a_replacement_from_the_environment_is_marked(load_yaml: Load) -> None:
    """As is what takes the place of a whole path."""
    rewrite = "rewrite: {uriRegexRewrite: {match: a, rewrite: '${TENANT}'}}"
    found = rule_of(load_yaml, to("b.com").replace("route:", f"{rewrite}, route:", 1)).rewrite

    assert found
    assert isinstance(found.uri, Expanded)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("string: '${TENANT}'", DirectResponse(200, b"s3cret", is_secret=True), id="text"),
        pytest.param(
            "bytes: '${TENANT}Aa'", DirectResponse(200, b"\xb3w+z\xd0\x1a", is_secret=True), id="bytes"
        ),
        pytest.param("string: tea", DirectResponse(200, b"tea"), id="written"),
    ],
)
def test_a_body_from_the_environment_is_marked(load_yaml: Load, body: str, expected: DirectResponse) -> None:
    """The client gets it, and nobody else."""
    written = f"[{{directResponse: {{status: 200, body: {{{body}}}}}}}]"

    assert rule_of(load_yaml, written).action == expected
