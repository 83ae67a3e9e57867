"""What a rule asks of requests and does with them, as the decisions have it."""

import pytest

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import (
    DEFAULT_RETRIES,
    Action,
    Cors,
    DirectResponse,
    Fault,
    HeaderOperations,
    Headers,
    Match,
    MatchType,
    Mirror,
    Redirect,
    Retries,
    Rewrite,
    StringMatch,
)
from tests.config.compiled import fields, rule_of
from tests.config.conftest import Load

EXACT, PREFIX, REGEX, PRESENT = MatchType.EXACT, MatchType.PREFIX, MatchType.REGEX, MatchType.PRESENT


def shown(match: StringMatch | None) -> object:
    """A condition as a value, of its pattern only whether there is one."""
    return match and (match.type, match.value, match.ignore_case, match.pattern is not None)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param("{uri: {exact: /a}}", Match(uri=StringMatch(EXACT, "/a")), id="exact"),
        pytest.param("{uri: {prefix: /a}}", Match(uri=StringMatch(PREFIX, "/a")), id="prefix"),
        pytest.param("{uri: {prefix: ''}}", Match(uri=StringMatch(PREFIX, "")), id="empty-prefix"),
        pytest.param(
            "{uri: {prefix: /A}, ignoreUriCase: true}",
            Match(uri=StringMatch(PREFIX, "/A", ignore_case=True)),
            id="case",
        ),
        pytest.param("{method: {exact: GET}}", Match(method=StringMatch(EXACT, "GET")), id="method"),
        pytest.param("{scheme: {exact: http}}", Match(scheme=StringMatch(EXACT, "http")), id="scheme"),
        pytest.param("{authority: {prefix: b}}", Match(authority=StringMatch(PREFIX, "b")), id="authority"),
        pytest.param("{port: 8080}", Match(port=8080), id="port"),
        pytest.param("{name: special}", Match(name="special"), id="name"),
        pytest.param(
            "{headers: {X-User: {exact: Me}}}",
            Match(headers={"x-user": StringMatch(EXACT, "Me")}),
            id="header-names-in-lower-case",
        ),
        pytest.param(
            "{headers: {x-user: {}}}", Match(headers={"x-user": StringMatch(PRESENT)}), id="presence"
        ),
        pytest.param(
            "{withoutHeaders: {X-User: {exact: me}}}",
            Match(without_headers={"x-user": StringMatch(EXACT, "me")}),
            id="without",
        ),
        pytest.param(
            "{withoutHeaders: {x-user: {regex: '*'}}}",
            Match(without_headers={"x-user": StringMatch(PRESENT)}),
            id="a-star-is-presence",
        ),
        pytest.param(
            "{queryParams: {User: {prefix: a}}}",
            Match(query_params={"User": StringMatch(PREFIX, "a")}),
            id="query-parameters-as-they-are",
        ),
        pytest.param("{headers: {uri: {exact: /a}}}", Match(), id="uri-is-no-header"),
        pytest.param("{}", Match(), id="nothing"),
    ],
)
def test_matches(load_yaml: Load, match: str, expected: Match) -> None:
    """One alternative; a condition that has a field of its own is none on a header."""
    (found,) = rule_of(load_yaml, f"match: [{match}]").matches

    assert fields(found) | {"source": ""} == fields(expected)
    assert found.source.startswith("a.yaml:")


def test_a_regex(load_yaml: Load) -> None:
    """Compiled as RE2, in which the whole value must match."""
    (found,) = rule_of(load_yaml, r"match: [{uri: {regex: '/a\d+'}, ignoreUriCase: true}]").matches

    assert shown(found.uri) == (REGEX, r"/a\d+", False, True)
    assert found.uri is not None
    assert found.uri.pattern is not None
    assert [bool(found.uri.pattern.fullmatch(path)) for path in ("/a1", "/a1x", "x/a1")] == [
        True,
        False,
        False,
    ]


def test_alternatives(load_yaml: Load) -> None:
    """In their order."""
    rule = rule_of(load_yaml, "match: [{uri: {exact: /a}}, {uri: {exact: /b}}, {}]")

    assert [match.uri and match.uri.value for match in rule.matches] == ["/a", "/b", None]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("redirect: {uri: /new}", Redirect(301, uri="/new"), id="redirect"),
        pytest.param(
            "redirect: {authority: x.com, scheme: https, port: 8443, redirectCode: 308}",
            Redirect(308, "https", "x.com", 8443),
            id="redirect-in-full",
        ),
        pytest.param(
            "redirect: {scheme: https, derivePort: FROM_REQUEST_PORT}",
            Redirect(301, "https", from_request_port=True),
            id="the-ports-of-requests",
        ),
        pytest.param(
            "redirect: {scheme: https, derivePort: FROM_PROTOCOL_DEFAULT}",
            Redirect(301, "https"),
            id="the-schemes-port",
        ),
        pytest.param("directResponse: {status: 204}", DirectResponse(204), id="response-without-body"),
        pytest.param(
            "directResponse: {status: 503, body: {string: närrisch}}",
            DirectResponse(503, "närrisch".encode()),
            id="text",
        ),
        pytest.param(
            "directResponse: {status: 200, body: {bytes: /wA=}}", DirectResponse(200, b"\xff\x00"), id="bytes"
        ),
    ],
)
def test_answers_of_rules(load_yaml: Load, written: str, expected: Action) -> None:
    """Redirects and fixed answers."""
    assert rule_of(load_yaml, written).action == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("", DEFAULT_RETRIES, id="nothing-is-istios-default"),
        pytest.param("retries: {}", Retries(0, DEFAULT_RETRIES.retry_on), id="no-attempts"),
        pytest.param("retries: {attempts: 5}", Retries(5, DEFAULT_RETRIES.retry_on), id="default-words"),
        pytest.param(
            "retries: {attempts: 1, retryOn: '5xx,reset'}",
            Retries(1, frozenset({"5xx", "reset"})),
            id="words",
        ),
        pytest.param(
            "retries: {attempts: 1, retryOn: 'gateway-error,429,503'}",
            Retries(1, frozenset({"gateway-error"}), frozenset({429, 503})),
            id="codes",
        ),
        pytest.param(
            "retries: {attempts: 1, retryOn: '429'}",
            Retries(1, frozenset(), frozenset({429})),
            id="only-a-code",
        ),
        pytest.param(
            "retries: {attempts: 1, perTryTimeout: 1500ms, backoff: 1s, retryIgnorePreviousHosts: false}",
            Retries(1, DEFAULT_RETRIES.retry_on, frozenset(), 1.5, 1.0, avoid_tried=False),
            id="times",
        ),
    ],
)
def test_retries(load_yaml: Load, written: str, expected: Retries) -> None:
    """Numbers in `retryOn` are statuses; what is not said is as in Istio's default."""
    assert rule_of(load_yaml, written).retries == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("", None, id="none"),
        pytest.param("fault: {abort: {httpStatus: 503}}", Fault(), id="no-percentage-is-never"),
        pytest.param(
            "fault: {abort: {httpStatus: 503, percentage: {value: 0.5}}}",
            Fault(abort_percent=0.5, abort_status=503),
            id="abort",
        ),
        pytest.param(
            "fault: {delay: {fixedDelay: 100ms, percentage: {value: 100}}}",
            Fault(delay_percent=100.0, delay_s=0.1),
            id="delay",
        ),
        pytest.param(
            "fault: {delay: {fixedDelay: 1s, percentage: {value: 1}}, abort: {httpStatus: 500}}",
            Fault(delay_percent=1.0, delay_s=1.0),
            id="only-one-of-two",
        ),
    ],
)
def test_faults(load_yaml: Load, written: str, expected: Fault | None) -> None:
    """Shares in percent and times in seconds."""
    assert rule_of(load_yaml, written).fault == expected


C = Destination("c.com")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("", (), id="none"),
        pytest.param("mirror: {host: c.com}", (Mirror(C, 100.0),), id="all"),
        pytest.param(
            "mirror: {host: c.com}, mirrorPercentage: {value: 12.5}", (Mirror(C, 12.5),), id="a-share"
        ),
        pytest.param("mirror: {host: c.com}, mirrorPercent: 7", (Mirror(C, 7.0),), id="deprecated-share"),
        pytest.param("mirror: {host: c.com}, mirrorPercentage: {value: 0}", (), id="0-is-none"),
        pytest.param(
            "mirrors: [{destination: {host: c.com}}, {destination: {host: c.com, port: {number: 80}},"
            " percentage: {value: 5}}, {destination: {host: c.com}, percentage: {value: 0}}]",
            (Mirror(C, 100.0), Mirror(Destination("c.com", 80), 5.0)),
            id="several",
        ),
    ],
)
def test_mirrors(load_yaml: Load, written: str, expected: tuple[Mirror, ...]) -> None:
    """Those that get a share."""
    assert rule_of(load_yaml, written).mirrors == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("", None, id="none"),
        pytest.param("rewrite: {uri: /v2}", Rewrite("/v2"), id="uri"),
        pytest.param("rewrite: {authority: x.com}", Rewrite(authority="x.com"), id="authority"),
    ],
)
def test_rewrites(load_yaml: Load, written: str, expected: Rewrite | None) -> None:
    """Of path and authority."""
    found = rule_of(load_yaml, written).rewrite

    assert (found and fields(found)) == (expected and fields(expected))


def test_a_rewrite_by_regex(load_yaml: Load) -> None:
    """The pattern is compiled, and the text for it is kept as it was written."""
    found = rule_of(load_yaml, r"rewrite: {uriRegexRewrite: {match: '^/a/(.*)', rewrite: '/\1'}}").rewrite

    assert found is not None
    assert found.pattern is not None
    assert (found.uri, found.pattern.sub(r"/\1", "/a/b")) == (r"/\1", "/b")


def test_timeouts(load_yaml: Load) -> None:
    """None unless said."""
    assert [rule_of(load_yaml, text).timeout_s for text in ("", "timeout: 1500ms")] == [None, 1.5]


def test_header_operations(load_yaml: Load) -> None:
    """By name, as Istio writes them; the destination's are its own."""
    operations = "{request: {set: {b: '2', a: '1'}, add: {C: '3'}}, response: {remove: [d, e]}}"
    expected = Headers(
        HeaderOperations((("a", "1"), ("b", "2")), (("C", "3"),)), HeaderOperations(remove=("d", "e"))
    )

    general = rule_of(load_yaml, f"headers: {operations}")
    special = rule_of(load_yaml, f"route: [{{destination: {{host: b.com}}, headers: {operations}}}]")

    assert isinstance(general.action, tuple)
    assert isinstance(special.action, tuple)
    assert (general.headers, general.action[0].headers) == (expected, Headers())
    assert (special.headers, special.action[0].headers) == (Headers(), expected)
    assert "'1'" not in repr(general)


def test_cors(load_yaml: Load) -> None:
    """All of it."""
    written = (
        "corsPolicy: {allowOrigins: [{exact: 'https://a'}, {prefix: 'https://b'}], allowMethods: [GET, POST],"
        " allowHeaders: [x-a], exposeHeaders: [x-b], maxAge: 24h, allowCredentials: true,"
        " unmatchedPreflights: IGNORE}"
    )
    origins = (StringMatch(EXACT, "https://a"), StringMatch(PREFIX, "https://b"))
    expected = Cors(origins, ("GET", "POST"), ("x-a",), ("x-b",), 86400, credentials=True,
                    forward_unmatched_preflights=False)  # fmt: skip

    found = rule_of(load_yaml, written).cors

    assert found is not None
    assert fields(found) == fields(expected)


@pytest.mark.parametrize(
    ("word", "forwards"), [("FORWARD", True), ("UNSPECIFIED", True), ("IGNORE", False), (None, True)]
)
def test_unmatched_preflights(load_yaml: Load, word: str | None, *, forwards: bool) -> None:
    """Forwarded unless ignored."""
    more = f", unmatchedPreflights: {word}" if word else ""

    found = rule_of(load_yaml, f"corsPolicy: {{allowOrigins: [{{exact: x}}]{more}}}").cors

    assert found is not None
    assert found.forward_unmatched_preflights is forwards
