"""Where a request goes: its rule, its destination or that one's fallback, and what answers without any."""

from dataclasses import replace

import pytest

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import (
    Cors,
    DirectResponse,
    HeaderOperations,
    Headers,
    Match,
    MatchType,
    Redirect,
    Retries,
    Rewrite,
    RouteDestination,
    StringMatch,
)
from llm_fallback.events import Attempted, Handled, Received
from llm_fallback.messages import OriginalRequest
from llm_fallback.outlier import OutlierPolicy
from llm_fallback.retry import Failure
from llm_fallback.upstream.answers import End
from tests.upstream.exchanging import POST, play, request, rule, to
from tests.upstream.world import EJECTS, Lowest, Reply, target

A = target("a.com", outlier=EJECTS)
B = target("b.com", outlier=EJECTS)
C = target("c.com")
D = target("d.com")
WITH_FALLBACK = rule(to("a.com", fallback="b.com"))


def test_the_tutorial() -> None:
    """The first request ejects the primary and is not saved; the next goes to the fallback."""
    story = play((A, B), (WITH_FALLBACK,), Failure.CONNECT_FAILURE, 200, requests=(POST, POST))

    assert (story.statuses, story.places) == ([503, 200], ["a.com", "b.com"])
    assert story.bodies[0] == b"no healthy upstream"
    first, second = story.events
    assert (first.target, first.instead_of, first.flags) == ("a.com:80", None, ("UH",))
    assert (second.target, second.instead_of, second.flags) == ("b.com:80", "a.com:80", ())
    assert (second.route, second.source, second.status) == ("chat", "vs.yaml:8 VirtualService/vs", 200)


def test_the_fallback_is_chosen_once_per_request() -> None:
    """Retries stay at the primary, though their first attempt ejected it and the fallback is well."""
    route = rule(to("a.com", fallback="b.com"), retries=Retries(3, frozenset({"5xx"})))

    story = play((A, B), (route,), 500)

    assert (story.places, story.bodies, story.flags) == (["a.com"], [b"no healthy upstream"], {"UH"})


def test_retries_stay_at_the_fallback() -> None:
    """Even when the primary is back by then."""
    policy = Retries(1, frozenset({"5xx"}), backoff_s=20.0)
    route = rule(to("a.com", fallback="c.com"), retries=policy)

    story = play((A, C), (route,), 500, 500, 200, requests=(POST, POST), rng=Lowest(0.0, 0.75))

    assert (story.places, story.world.health_changes) == (
        ["a.com", "c.com", "c.com"],
        ["-a.com:80", "+a.com:80"],
    )


def test_two_unhealthy_ones_are_the_primarys_failure() -> None:
    """Both ejected: the primary's `no healthy upstream`."""
    story = play((A, B), (WITH_FALLBACK,), 500, 500, requests=(POST, POST, POST))

    assert (story.statuses, story.places) == ([500, 500, 503], ["a.com", "b.com"])
    assert (story.events[-1].target, story.events[-1].instead_of) == ("a.com:80", None)


def test_the_primary_is_used_as_soon_as_it_is_back() -> None:
    """No probe: the next request after its return goes there."""
    slow = rule(to("a.com", fallback="c.com"), fault=None)

    story = play((A, C), (slow,), 500, 200, 200, requests=(POST, POST, POST), by_host={"c.com": _after(11.0)})

    assert story.places == ["a.com", "c.com", "a.com"]


def _after(seconds: float) -> Reply:
    return Reply(200, after_s=seconds)


def test_without_detection_there_is_no_fallback() -> None:
    """Nothing is ever unhealthy, not even what does not answer."""
    route = rule(to("c.com", fallback="b.com"))

    story = play((C, B), (route,), *[500] * 9, requests=(POST,) * 9)

    assert story.places == ["c.com"] * 9


def test_a_primary_without_endpoints() -> None:
    """A name that does not exist is not healthy: its very first request goes to the fallback."""
    nowhere = target("n.com")
    story = play((replace(nowhere, endpoints=()), C), (rule(to("n.com", fallback="c.com")),), 200)

    assert story.places == ["c.com"]


def test_weighted_destinations_have_fallbacks_of_their_own() -> None:
    """First the draw, then the health of the one that was drawn."""
    route = rule(to("a.com", weight=1, fallback="c.com"), to("b.com", weight=1, fallback="d.com"))
    draws = Lowest(0.0, 0.9, 0.0, 0.9)

    story = play((A, B, C, D), (route,), 500, 500, 200, 200, requests=(POST,) * 4, rng=draws)

    assert story.places == ["a.com", "b.com", "c.com", "d.com"]
    assert [event.instead_of for event in story.events] == [None, None, "a.com:80", "b.com:80"]


def test_no_rule() -> None:
    """404 without a body, flag NR; nothing of the rules applies to it."""
    chat = rule(to("a.com"), matches=(Match(uri=StringMatch(MatchType.PREFIX, "/v1")),))

    story = play((A,), (chat,))

    assert (story.statuses, story.bodies, story.ends, story.flags) == ([404], [b""], [End.COMPLETE], {"NR"})
    assert story.world.sent == []
    event = story.events[0]
    assert (event.route, event.source, event.target) == ("no route", None, "nowhere")


@pytest.mark.parametrize(
    "destination",
    [
        pytest.param(Destination("x.com"), id="host"),
        pytest.param(Destination("a.com", 81), id="port"),
        pytest.param(Destination("a.com", 80, "v2"), id="subset"),
    ],
)
def test_an_unknown_destination(destination: Destination) -> None:
    """503 without a body, flag NC; a fallback is no help, for there is nobody who could be unhealthy."""
    story = play((A, B), (rule(RouteDestination(destination)),))

    assert (story.statuses, story.bodies, story.flags) == ([503], [b""], {"NC"})
    assert (story.world.sent, story.world.events[:-1]) == ([], [])


def test_an_unknown_fallback() -> None:
    """There is none then."""
    story = play((A,), (rule(to("a.com", fallback="x.com")),), 500, requests=(POST, POST))

    assert (story.statuses, story.bodies[1]) == ([500, 503], b"no healthy upstream")


def test_a_malformed_request_is_refused() -> None:
    """What would become another request on its way is not sent: 400, untouched by rules."""
    evil = OriginalRequest("GET", "a.com", 80, "/x HTTP/1.1\r\nHost: b.com", POST.headers, b"")
    route = rule(to("a.com"), headers=Headers(response=HeaderOperations(set=(("x-rule", "1"),))))

    story = play((A,), (route,), requests=(evil,))

    assert (story.statuses, story.world.sent, story.flags) == ([400], [], {"DPE"})
    assert story.header("x-rule") is None


def test_a_redirect() -> None:
    """Answered by the rule; no upstream is asked, and no body follows."""
    route = rule(action=Redirect(308, authority="new.com"))

    story = play((A,), (route,), requests=(request(path="/chat?a=b"),))

    assert (story.statuses, story.header("location")) == ([308], "http://new.com/chat?a=b")
    assert (story.bodies, story.world.sent, story.events[0].attempts) == ([b""], [], ())
    assert (story.heads[0].has_body, story.heads[0].is_local) == (False, True)


def test_a_direct_response() -> None:
    """Its bytes as they are, with the header operations of the rule."""
    headers = Headers(response=HeaderOperations(set=(("x-rule", "1"),)))
    route = rule(action=DirectResponse(418, "tea é\n".encode("latin-1")), headers=headers)

    story = play((A,), (route,))

    assert (story.statuses, story.bodies) == ([418], ["tea é\n".encode("latin-1")])
    assert (story.header("content-length"), story.header("x-rule")) == ("6", "1")
    assert (story.world.sent, story.flags) == ([], set())


ORIGIN = "https://app.example"
CORS = Cors((StringMatch(MatchType.EXACT, ORIGIN),), methods=("POST",), max_age_s=60)


def test_a_preflight_is_answered_here() -> None:
    """200 without a body; the rule's operations do not touch it."""
    headers = Headers(response=HeaderOperations(set=(("x-rule", "1"),)))
    asked = request("OPTIONS", Origin=ORIGIN, Access_Control_Request_Method="POST")

    story = play((A,), (rule(to("a.com"), cors=CORS, headers=headers),), requests=(asked,))

    assert (story.statuses, story.bodies, story.world.sent) == ([200], [b""], [])
    assert story.header("access-control-allow-origin") == ORIGIN
    assert story.header("access-control-allow-methods") == "POST"
    assert story.header("x-rule") is None


def test_cross_origin_answers() -> None:
    """What lets the page read it is on answers, local replies included."""
    asked = request(Origin=ORIGIN)

    story = play((A,), (rule(to("a.com"), cors=CORS),), 500, requests=(asked, asked))

    assert story.statuses == [500, 503]
    granted = [dict(head.headers).get("access-control-allow-origin") for head in story.heads]
    assert granted == [ORIGIN, ORIGIN]


def test_the_rules_rewrite_is_sent() -> None:
    """Path, authority and headers as the rule and the destination have them."""
    match = Match(uri=StringMatch(MatchType.PREFIX, "/chat"))
    own = Headers(request=HeaderOperations(add=(("x-destination", "1"),)))
    route = rule(
        to("a.com", headers=own),
        matches=(match,),
        rewrite=Rewrite("/v2", authority="inner.com"),
        headers=Headers(request=HeaderOperations(set=(("x-rule", "1"),), remove=("cookie",))),
    )

    story = play((A,), (route,), 200, requests=(request(path="/chat/x?q", Cookie="c"),))

    sent = story.world.sent[0]
    assert (sent.outgoing.path, sent.header("host"), sent.header("cookie")) == ("/v2/x?q", "inner.com", None)
    assert (sent.header("x-rule"), sent.header("x-destination")) == ("1", "1")


def test_what_is_said_of_an_exchange() -> None:
    """Rule, target, attempts, status, flags and time, to the observer and to everybody."""
    story = play((A,), (rule(to("a.com")),), Reply(200, after_s=0.5))

    event = story.events[0]
    assert story.world.events == [event]
    assert event.duration_s == pytest.approx(0.5, abs=0.001)
    assert event.attempts == (Attempted("a.com:80", "a.com:80", "200", event.attempts[0].duration_s, 200),)
    assert event == Handled(
        "POST", "a.com", "chat", "a.com:80", None, event.attempts, 200, (), event.duration_s,
        "vs.yaml:8 VirtualService/vs", received=event.received, answer=event.answer,
    )  # fmt: skip
    assert event.received
    assert event.received.at_s == pytest.approx(story.world.wall_clock() - 0.5, abs=0.001)
    assert event.received == Received(event.received.at_s, "http", "/chat", 2, "10.1.1.1:5000")
    assert event.answer.service_time_s == event.duration_s


def test_used_up_retries_are_flagged() -> None:
    """As Envoy's logs have it, with what the last failure was."""
    route = rule(to("c.com"), retries=Retries(1, frozenset({"reset"})))

    story = play((C,), (route,), Failure.RESET, Failure.RESET)

    assert story.events[0].flags == ("UC", "URX")
    assert story.bodies[0].endswith(b"retried and the latest reset reason: connection termination")


def test_an_overflow() -> None:
    """503, flag UO, a header that says so; the endpoint is not charged, and the fallback is no way out."""
    story = play((A, B), (WITH_FALLBACK,), Failure.OVERFLOW, 200, requests=(POST, POST))

    assert (story.statuses, story.places) == ([503, 200], ["a.com", "a.com"])
    assert dict(story.heads[0].headers)["x-envoy-overloaded"] == "true"
    assert (story.events[0].flags, story.world.health_changes) == (("UO",), [])


def test_429_is_no_failure() -> None:
    """It clears the count of failures; with `outlierDetectionHttpErrorCodes` it may be one."""
    counting = target("a.com", outlier=OutlierPolicy(2, max_ejection_percent=100))
    listing = target(
        "a.com", outlier=OutlierPolicy(2, max_ejection_percent=100, error_codes=frozenset({429}))
    )

    plain = play((counting,), (rule(to("a.com")),), 500, 429, 500, 429, requests=(POST,) * 4)
    listed = play((listing,), (rule(to("a.com")),), 429, 429, requests=(POST,) * 2)

    assert (plain.world.health_changes, listed.world.health_changes) == ([], ["-a.com:80"])


@pytest.mark.parametrize(
    ("body", "model"),
    [
        pytest.param(b'{"input": "Hi", "model": "embed-3"}', "embed-3", id="embeddings"),
        pytest.param(
            b' \r\n{"messages": [{"model": "not me"}], "model": "gpt\\u001b"}', r"gpt\x1b", id="printable"
        ),
        pytest.param(b'{"messages": []}', None, id="unsaid"),
        pytest.param(b'{"model": 4}', None, id="no-text"),
        pytest.param(b'--b\r\n\r\n{"model": "whisper"}', None, id="no-object"),
        pytest.param(b'{"model": "gpt", ' + b" " * 2 * 1024 * 1024 + b'"n": 1}', None, id="too-long"),
        pytest.param(b"", None, id="empty"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/embeddings", "/nowhere"])
def test_the_model_that_is_asked_for(path: str, body: bytes, model: str | None) -> None:
    """Is read where nobody replaces it, too, and where no rule matches."""
    match = Match(uri=StringMatch(MatchType.PREFIX, "/v1"))

    story = play(
        (A,), (rule(to("a.com"), matches=(match,)),), 200, requests=(replace(POST, path=path, body=body),)
    )

    received = story.events[0].received
    assert received
    assert received.model == model
