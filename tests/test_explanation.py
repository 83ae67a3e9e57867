"""What an explanation says of each kind of decision; that it is the proxy's own is in the properties."""

import random

import pytest
from pydantic import SecretStr

from llm_fallback.config.routes import (
    Cors,
    Destination,
    DirectResponse,
    Fault,
    HeaderOperations,
    Headers,
    Match,
    MatchType,
    Mirror,
    Redirect,
    Retries,
    Route,
    RouteDestination,
    StringMatch,
    VirtualHost,
)
from llm_fallback.config.snapshot import (
    Algorithm,
    HashPolicy,
    HashSource,
    LoadBalancing,
    Provider,
    ProviderConfig,
    Service,
    Snapshot,
    Target,
    Tls,
)
from llm_fallback.explanation import Explanation, explain
from llm_fallback.explanation.model import Destination as Told
from llm_fallback.explanation.model import Use
from llm_fallback.outlier import Endpoint, OutlierPolicy
from llm_fallback.retry import MAX_REPLAY_BYTES
from llm_fallback.rewriting import OriginalRequest

A, B = Destination("a.com"), Destination("b.com")
GONE = Destination("gone.com", 81, "v9")
TO_A = RouteDestination(A)
OTHERWISE_B = RouteDestination(A, fallback=B)
ORIGIN = ("Origin", "https://page.com")
PREFLIGHT = (ORIGIN, ("Access-Control-Request-Method", "POST"))
CORS = Cors(origins=(StringMatch(MatchType.EXACT, "https://page.com"),), expose=("x-a",))


def target(host: str, count: int = 1, **more: object) -> Target:
    """Plain text, to `host-0:80` and so on, with a detector."""
    endpoints = tuple(Endpoint(f"{host}-{number}", 80) for number in range(count))
    return Target(host, 80, endpoints, **({"outlier": OutlierPolicy()} | more))  # type: ignore[arg-type]


def snapshot(*routes: Route, targets: tuple[Target, ...] = (target("a.com"), target("b.com"))) -> Snapshot:
    services = {each.host: Service(each.host, {(80, None): each}) for each in targets}
    return Snapshot(services, {"a.com": VirtualHost("VirtualService/vs", routes)})


def to(*destinations: RouteDestination, **more: object) -> Route:
    return Route("all", "f.yaml:1 VirtualService/vs", destinations, **more)  # type: ignore[arg-type]


def asking(
    path: str = "/", *headers: tuple[str, str], method: str = "POST", body: bytes = b""
) -> OriginalRequest:
    return OriginalRequest(method, "a.com", 80, path, headers, body)


def told(given: Snapshot, request: OriginalRequest | None = None, *, ejected: str = "") -> Explanation:
    """With the endpoints in a text of names ejected."""
    return explain(
        given, request or asking(), is_ejected=lambda _, endpoint: endpoint.address in ejected.split()
    )


def only(explanation: Explanation) -> Told:
    assert explanation.answer is None
    (destination,) = explanation.destinations
    return destination


def test_a_host_that_is_not_managed() -> None:
    explanation = told(Snapshot())

    assert (explanation.rules, explanation.rule, explanation.destinations) == (None, None, ())


def test_rules() -> None:
    """Which one counts, and what is against each of those before it; those after it are not looked at."""
    missing = Match(headers={"user-type": StringMatch(MatchType.PRESENT)}, source="f.yaml:5")
    wrong = Match(method=StringMatch(MatchType.EXACT, "GET"), name="get", source="f.yaml:7")
    holds = Match(uri=StringMatch(MatchType.PREFIX, "/v1"), name="v1", source="f.yaml:9")
    first, second = to(TO_A, matches=(missing, wrong)), to(TO_A, matches=(wrong, holds))

    explanation = told(snapshot(first, second, to(TO_A)), asking("/v1/x"))

    assert explanation.rules == "VirtualService/vs"
    assert [[(m.name, m.source, m.why) for m in r.mismatches] for r in explanation.rejected] == [
        [
            ("", "f.yaml:5", "the header user-type is missing"),
            ("get", "f.yaml:7", "the method is 'POST' and does not equal 'GET'"),
        ]
    ]
    rule = explanation.rule
    assert rule
    assert (rule.number, rule.of, rule.match, rule.match_name) == (2, 3, "f.yaml:9", "v1")


@pytest.mark.parametrize(
    ("route", "request_", "expected"),
    [
        pytest.param(
            to(TO_A, matches=(Match(method=StringMatch(MatchType.EXACT, "GET")),)),
            asking(),
            (404, "", ("NR",), "no rule matches"),
            id="no-rule",
        ),
        pytest.param(
            to(TO_A), asking("/ x"), (400, "", ("DPE",), "its method, path or headers"), id="malformed"
        ),
        pytest.param(
            Route("r", "f:1", DirectResponse(418, b"tea")),
            asking(),
            (418, "tea", (), "the rule"),
            id="direct",
        ),
        pytest.param(
            Route("r", "f:1", Redirect(302, uri="/new")), asking(), (302, "", (), "the rule"), id="redirect"
        ),
        pytest.param(
            to(TO_A, fault=Fault(abort_percent=100, abort_status=503)),
            asking(),
            (503, "fault filter abort", ("FI",), "the rule's fault"),
            id="abort",
        ),
        pytest.param(
            to(TO_A, cors=CORS),
            asking("/", *PREFLIGHT, method="OPTIONS"),
            (200, "", (), "a preflight request"),
            id="preflight",
        ),
    ],
)
def test_answers_of_the_proxys_own(
    route: Route, request_: OriginalRequest, expected: tuple[int, str, tuple[str, ...], str]
) -> None:
    """Nothing is sent then, nor are there retries."""
    explanation = told(snapshot(route), request_)

    answer = explanation.answer
    assert answer
    assert (answer.status, answer.body, answer.flags) == expected[:3]
    assert answer.why.startswith(expected[3])
    assert (explanation.destinations, explanation.mirrors, explanation.retries) == ((), (), None)


def test_redirects_say_where_to() -> None:
    """Without the client's credential."""
    answer = told(snapshot(Route("r", "f:1", Redirect(uri="/new"))), asking("/?key=s3cret&a=1")).answer

    assert answer
    assert answer.headers == (("location", "http://a.com/new?a=1"),)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(abort_percent=99.9999, abort_status=503), id="almost-every-request"),
        pytest.param(Fault(delay_percent=100, delay_s=1), id="a-delay"),
    ],
)
def test_faults_that_do_not_end_every_request(fault: Fault) -> None:
    explanation = told(snapshot(to(TO_A, fault=fault)))

    assert explanation.fault == fault
    assert only(explanation).sent


@pytest.mark.parametrize(
    ("destination", "ejected", "detector", "expected"),
    [
        pytest.param(TO_A, "", True, (Use.TARGET, None, None), id="healthy"),
        pytest.param(TO_A, "a.com-0", True, (Use.NOWHERE, None, "no healthy upstream"), id="ejected"),
        pytest.param(
            OTHERWISE_B,
            "",
            True,
            (Use.TARGET, "used while a.com:80 has no healthy endpoint", None),
            id="fallback-not-needed",
        ),
        pytest.param(
            OTHERWISE_B,
            "a.com-0",
            True,
            (Use.FALLBACK, "used: a.com:80 has no healthy endpoint", None),
            id="fallback",
        ),
        pytest.param(
            OTHERWISE_B,
            "a.com-0 b.com-0",
            True,
            (Use.NOWHERE, "not used: it has no healthy endpoint either", "no healthy upstream"),
            id="nobody",
        ),
        pytest.param(
            OTHERWISE_B,
            "",
            False,
            (
                Use.TARGET,
                "never used by itself: a.com:80 has no outlierDetection, so nobody is ejected there",
                None,
            ),
            id="no-detector",
        ),
        pytest.param(
            RouteDestination(A, fallback=GONE),
            "a.com-0",
            True,
            (Use.NOWHERE, "not used: there is no such host, port or subset", "no healthy upstream"),
            id="no-such-fallback",
        ),
        pytest.param(
            RouteDestination(GONE, fallback=B),
            "",
            True,
            (Use.NOWHERE, "not used: the target does not exist, which is no matter of health", ""),
            id="no-such-target",
        ),
    ],
)
def test_target_and_fallback(
    destination: RouteDestination,
    ejected: str,
    detector: bool,  # noqa: FBT001 - a column of the table
    expected: tuple[Use, str | None, str | None],
) -> None:
    here = target("a.com") if detector else target("a.com", outlier=None)

    found = only(told(snapshot(to(destination), targets=(here, target("b.com"))), ejected=ejected))

    fallback, answer = found.fallback, found.answer
    assert (found.uses, fallback and fallback.why, None if answer is None else answer.body) == expected
    assert (found.sent is None) is (answer is not None)


def test_a_target_that_does_not_exist_is_named_as_written() -> None:
    assert only(told(snapshot(to(RouteDestination(GONE))))).name == "gone.com:81/v9"


@pytest.mark.parametrize(
    ("panic_threshold", "expected"),
    [(0, ("a.com-1:80", "a.com-2:80")), (70, ("a.com-0:80", "a.com-1:80", "a.com-2:80"))],
)
def test_endpoints(panic_threshold: int, expected: tuple[str, ...]) -> None:
    """Those that may get the request; in panic, also those that are ejected."""
    three = target("a.com", 3, panic_threshold=panic_threshold)

    found = only(told(snapshot(to(TO_A), targets=(three,)), ejected="a.com-0"))

    assert found.target
    assert [each.is_ejected for each in found.target.endpoints] == [True, False, False]
    assert found.sent
    assert found.sent.endpoints == expected


@pytest.mark.parametrize(
    ("algorithm", "header", "is_hashed"),
    [
        (Algorithm.MAGLEV, "x-user", True),
        (Algorithm.RING_HASH, "x-user", True),
        (Algorithm.RING_HASH, "x-other", False),
        (Algorithm.RANDOM, "x-user", False),
    ],
)
def test_the_endpoint_that_a_hash_leads_to(algorithm: Algorithm, header: str, is_hashed: bool) -> None:  # noqa: FBT001
    policy = HashPolicy(HashSource.HEADER, "x-user")
    five = target("a.com", 5, balancing=LoadBalancing(algorithm, policy, 1009))

    sent = only(told(snapshot(to(TO_A), targets=(five,)), asking("/", (header, "me")))).sent

    assert sent
    assert (sent.is_hashed, len(sent.endpoints)) == ((True, 1) if is_hashed else (False, 5))


def test_every_destination_has_its_share() -> None:
    """What comes of the others does not matter."""
    route = to(RouteDestination(A, 3), RouteDestination(B, 1), is_weighted=True)

    explanation = told(snapshot(route), ejected="b.com-0")

    assert [(d.name, d.percent, d.uses) for d in explanation.destinations] == [
        ("a.com:80", 75.0, Use.TARGET),
        ("b.com:80", 25.0, Use.NOWHERE),
    ]


def test_what_is_sent_to_a_provider() -> None:
    """Its path, its name, its settings and a place for its key."""
    config = ProviderConfig("qwen", stream=False, api_key=SecretStr("s3cret"))
    there = target(
        "a.com", tls=Tls("sni.com", ("a.com",)), provider=Provider("p", "/x/chat/completions", config)
    )
    request = asking("/?a=1", ("Authorization", "Bearer mine"), body=b'{"stream": true, "model": "m"}')

    found = only(told(snapshot(to(TO_A), targets=(there,)), request))

    sent = found.sent
    assert sent
    assert (sent.method, sent.url, sent.sni) == ("POST", "https://a.com/x/chat/completions?a=1", "sni.com")
    assert sent.headers == (("Host", "a.com"), ("Authorization", "Bearer [redacted]"))
    assert (dict(sent.body.set), sent.body.kept) == ({"model": "qwen"}, ("stream",))
    assert found.target
    assert found.target.resources == ("LLMProvider/p",)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", ({}, ()), id="none"),
        pytest.param(b"{}", ({"model": "qwen", "stream": False}, ()), id="both-set"),
        pytest.param(b'{"model": "qwen", "stream": 1}', ({}, ("model", "stream")), id="both-kept"),
        pytest.param(b"[1]", ({}, ()), id="no-object"),
        pytest.param(b"[" * 100_000, ({}, ()), id="too-deep"),
        pytest.param(
            b'{"a": ' + b"9" * 5000 + b', "stream": true}', ({"model": "qwen"}, ("stream",)), id="long"
        ),
    ],
)
def test_settings_in_the_body(body: bytes, expected: tuple[dict[str, object], tuple[str, ...]]) -> None:
    there = target("a.com", provider=Provider("p", default=ProviderConfig("qwen", stream=False)))

    sent = only(told(snapshot(to(TO_A), targets=(there,)), asking("/v1/chat/completions", body=body))).sent

    assert sent
    assert (dict(sent.body.set), sent.body.kept) == expected


@pytest.mark.parametrize(
    ("route", "size", "expected"),
    [
        pytest.param(to(TO_A), 1, (2, None), id="istios-default"),
        pytest.param(to(TO_A, retries=Retries(0, frozenset())), 1, (None, "the rule wants none"), id="none"),
        pytest.param(
            to(TO_A), MAX_REPLAY_BYTES + 1, (None, "the body is larger than 1048576 bytes"), id="a-large-body"
        ),
    ],
)
def test_retries(route: Route, size: int, expected: tuple[int | None, str | None]) -> None:
    explanation = told(snapshot(route), asking(body=b"x" * size))

    retries = explanation.retries
    assert (retries and retries.attempts, explanation.why_no_retries) == expected


@pytest.mark.parametrize(
    ("origin", "cors", "expected"),
    [
        ((), None, None),
        ((), CORS, ()),
        (
            (ORIGIN,),
            CORS,
            (("access-control-allow-origin", "https://page.com"), ("access-control-expose-headers", "x-a")),
        ),
    ],
)
def test_cors(origin: tuple[tuple[str, str], ...], cors: Cors | None, expected: object) -> None:
    assert told(snapshot(to(TO_A, cors=cors)), asking("/", *origin)).cors_headers == expected


def test_what_else_a_rule_does() -> None:
    """Timeout, mirrors, and operations on headers, whose credentials are not shown."""
    operations = HeaderOperations((("x-a", "1"), ("x-api-key", "s3cret")), (("x-b", "2"),), ("server",))
    route = to(
        RouteDestination(A, headers=Headers(response=operations)),
        timeout_s=3.0,
        mirrors=(Mirror(B, 12.5), Mirror(GONE)),
        headers=Headers(operations, operations),
    )

    explanation = told(snapshot(route))

    shown = HeaderOperations((("x-a", "1"), ("x-api-key", "[redacted]")), (("x-b", "2"),), ("server",))
    assert explanation.rule
    assert explanation.rule.request_headers == explanation.rule.response_headers == shown
    assert only(explanation).response_headers == shown
    assert explanation.timeout_s == 3.0
    assert [(m.name, m.percent, m.exists) for m in explanation.mirrors] == [
        ("b.com:80", 12.5, True),
        ("gone.com:81/v9", 100.0, False),
    ]


def test_nothing_is_drawn() -> None:
    """Explaining changes nothing for the requests that follow."""
    state = random.getstate()

    told(snapshot(to(RouteDestination(A, 1), RouteDestination(B, 1), fault=Fault(50, 1, 50, 503))))

    assert random.getstate() == state
