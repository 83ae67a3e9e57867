"""What an explanation says of each kind of decision; that it is the proxy's own is in the properties."""

import pytest
from pydantic import SecretStr

from llm_fallback.config.routes import (
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
    Route,
    RouteDestination,
    StringMatch,
)
from llm_fallback.config.snapshot import Provider, ProviderConfig, Snapshot
from llm_fallback.explanation.model import Use
from llm_fallback.messages import OriginalRequest
from llm_fallback.resources.base import Expanded
from llm_fallback.retry import MAX_REPLAY_BYTES
from tests.explained import GONE, OTHERWISE_B, TO_A, A, B, asking, only, snapshot, target, to, told

ORIGIN = ("Origin", "https://page.com")
PREFLIGHT = (ORIGIN, ("Access-Control-Request-Method", "POST"))
CORS = Cors(origins=(StringMatch(MatchType.EXACT, "https://page.com"),), expose=("x-a",))


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
            Route("r", "f:1", DirectResponse(418, b"s3cret", is_secret=True)),
            asking(),
            (418, "[redacted]", (), "the rule"),
            id="direct-from-a-variable",
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


def test_every_destination_has_its_share() -> None:
    """What comes of the others does not matter."""
    route = to(RouteDestination(A, 3), RouteDestination(B, 1), is_weighted=True)

    explanation = told(snapshot(route), ejected="b.com-0")

    assert [(d.name, d.percent, d.uses) for d in explanation.destinations] == [
        ("a.com:80", 75.0, Use.TARGET),
        ("b.com:80", 25.0, Use.NOWHERE),
    ]


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
    """Timeout, mirrors, and operations on headers, whose credentials and variables are not shown."""
    operations = HeaderOperations(
        (("x-a", "1"), ("x-api-key", "s3cret")), (("x-b", Expanded("s3cret")),), ("server",)
    )
    route = to(
        RouteDestination(A, headers=Headers(response=operations)),
        timeout_s=3.0,
        mirrors=(Mirror(B, 12.5), Mirror(GONE)),
        headers=Headers(operations, operations),
    )

    explanation = told(snapshot(route))

    shown = HeaderOperations(
        (("x-a", "1"), ("x-api-key", "[redacted]")), (("x-b", "[redacted]"),), ("server",)
    )
    assert explanation.rule
    assert explanation.rule.request_headers == explanation.rule.response_headers == shown
    assert only(explanation).response_headers == shown
    assert explanation.timeout_s == 3.0
    assert [(m.name, m.percent, m.place is not None) for m in explanation.mirrors] == [
        ("b.com:80", 12.5, True),
        ("gone.com:81/v9", 100.0, False),
    ]


@pytest.mark.parametrize(
    ("ejected", "addressed", "expected"),
    [
        pytest.param("", None, (), id="at-the-host-that-was-called"),
        pytest.param("a.com-0", None, ("x-api-key", "Authorization", "?key"), id="at-a-fallback"),
        pytest.param("a.com-0", SecretStr("k"), ("x-api-key", "?key"), id="where-another-key-goes-instead"),
    ],
)
def test_credentials_that_stay_behind(
    ejected: str, addressed: SecretStr | None, expected: tuple[str, ...]
) -> None:
    """Each once, by its name; what the provider's own key replaces is none of them."""
    provider = Provider("p", default=ProviderConfig(api_key=addressed))
    given = snapshot(to(OTHERWISE_B), targets=(target("a.com"), target("b.com", provider=provider)))
    credentials = (
        ("x-api-key", "s3cret"),
        ("x-api-key", "s3cret"),
        ("Authorization", "s3cret"),
        ("x-a", "1"),
    )

    told_of = only(told(given, asking("/?key=s3cret&a=1", *credentials), ejected=ejected))

    assert told_of.sent
    assert told_of.sent.withheld == expected


@pytest.mark.parametrize(
    ("pinned", "written"),
    [pytest.param("a.com", True, id="where-the-rule-leads"), pytest.param("b.com", False, id="elsewhere")],
)
def test_a_pin_takes_no_credential_of_the_rule_elsewhere(pinned: str, written: bool) -> None:  # noqa: FBT001
    """Nor what is only for its own provider."""
    operations = HeaderOperations(set=(("x-api-key", "s3cret"), ("x-team", "blue")))
    given = snapshot(to(TO_A, headers=Headers(operations)))

    told_of = only(told(given, asking("/", ("idempotency-key", "i")), pinned=(pinned, 80, None)))

    assert told_of.sent
    names = {name for name, _ in told_of.sent.headers}
    private = {"x-api-key", "idempotency-key"}
    assert names & {*private, "x-team"} == {"x-team", *(private if written else ())}
