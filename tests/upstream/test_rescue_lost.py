"""What the client gets when nobody has an answer, and what the failures prove."""

import json
from collections.abc import Callable

import pytest

from llm_fallback.config.rescue import Budget, Hedging, RescuePolicy
from llm_fallback.config.routes import Retries
from llm_fallback.config.snapshot import Target
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import OutlierPolicy
from llm_fallback.retry import Failure
from llm_fallback.upstream.answers import End
from llm_fallback.upstream.attempts import Limits
from llm_fallback.upstream.client import BodyBroken
from llm_fallback.upstream.legs import Candidate
from llm_fallback.upstream.rescue import Rescue
from tests.upstream.exchanging import POST, play, request
from tests.upstream.rescuing import (
    DONE,
    FAILED,
    GOOD,
    HI,
    NO_RETRIES,
    ROLE,
    STOP,
    STREAM,
    A,
    B,
    event,
    is_clean,
    policy,
    rescue,
    rescuing,
    sse,
    told,
    whole,
)
from tests.upstream.virtual_time import run
from tests.upstream.world import EJECTS, Reply, World, target

CUT = b"upstream connect error or disconnect/reset before headers. reset reason: connection termination"
ODD = {"error": {"message": "\x00 \n \u2028 \ud83d\ude00 \u00fc \ud800", "param": None}}
LARGE = {"error": {"message": "m" * 64 * 1024}}


def no_answer(reason: str) -> bytes:
    """What is said of an answer that is none."""
    return f"upstream answer is no answer: {reason}".encode()


@pytest.mark.parametrize(
    ("last", "status", "body", "media", "flag"),
    [
        pytest.param(sse(ROLE, BodyBroken(), rest=b"x"), 503, CUT, "text/plain", "UC", id="cut"),
        pytest.param(sse(STOP, DONE), 502, no_answer("empty-answer"), "text/plain", "UPE", id="empty"),
        pytest.param(whole(b"<html>"), 502, no_answer("invalid-answer"), "text/plain", "UPE", id="invalid"),
        pytest.param(
            sse(ROLE, FAILED),
            502,
            b'{"error": {"message": "overloaded"}}',
            "application/json",
            "UPE",
            id="error",
        ),
        pytest.param(
            whole(json.dumps(ODD).encode()),
            502,
            json.dumps(ODD).encode(),
            "application/json",
            "UPE",
            id="error-with-odd-characters",
        ),
        pytest.param(
            whole(json.dumps({"error": "\u00fc"}, ensure_ascii=False).encode("utf-16")),
            502,
            '{"error": "\u00fc"}'.encode(),
            "application/json",
            "UPE",
            id="error-in-utf-16",
        ),
        pytest.param(
            sse(event(LARGE)), 502, no_answer("error-answer"), "text/plain", "UPE", id="error-too-long"
        ),
    ],
)
def test_one_clean_error(last: Reply, status: int, body: bytes, media: str, flag: str) -> None:
    """An answer that is none, and of which nothing has reached the client, is an error, whole and marked."""
    story = rescue(503, last)

    assert (story.statuses, story.bodies, story.ends, story.flags) == (
        [status],
        [body],
        [End.COMPLETE],
        {flag},
    )
    assert (story.header("content-type"), story.header("content-length")) == (media, str(len(body)))
    assert (story.header("x-should-retry"), story.header("x-llm-fallback-attempts")) == ("false", "2")
    assert story.header("x-llm-fallback-reason") == "; ".join(told(story).reasons)
    assert story.world.health_changes == ["-a.com:80", "-b.com:80"]
    assert is_clean(story)


def test_an_error_in_which_a_credential_is_half_a_character() -> None:
    """A client's header need not be text; what is left of the error is."""
    asked = request(Authorization="Bearer \udca91234567")
    error = whole('{"error": "\u00e91234567"}'.encode())
    story = rescue(error, given=policy(attempts=1), requests=(asked,))

    assert (story.statuses, story.bodies) == ([502], ['{"error": "\ufffd[redacted]"}'.encode()])


def test_an_error_status_passed_on_is_the_providers_own() -> None:
    """Status, headers and body of the last one."""
    story = rescue(sse(FAILED), Reply(503, (("x-own", "1"),), (b"over", b"loaded")))

    assert (story.statuses, story.bodies, story.header("x-own")) == ([503], [b"overloaded"], "1")
    assert story.header("x-should-retry") == "false"


def test_a_failure_whose_body_never_ends() -> None:
    """Ends as a stall does."""
    story = rescue(500, Reply(503, (), (b"over", 1e6)))

    assert (story.statuses, story.bodies, story.ends) == ([503], [b"over"], [End.BROKEN])
    assert is_clean(story)


def test_retries_that_were_in_vain_are_told_of() -> None:
    """In Envoy's words: those at the target whose failure is the answer."""
    pair = target("a.com", "10.0.0.1", "10.0.0.2")
    retries = Retries(1, frozenset({"5xx"}))
    given = policy(unless_slower_than_s=2.0)
    spent = play((pair, B), (rescuing(given, retries=retries),), 500, Reply(503, after_s=3.0))
    cut = play((pair, B), (rescuing(given, retries=retries),), 500, sse(3.0, BodyBroken()))

    assert (spent.statuses, spent.flags) == ([503], {"URX"})
    assert (cut.flags, cut.bodies) == (
        {"UC"},
        [CUT.replace(b"reset reason", b"retried and the latest reset reason")],
    )


def test_the_last_of_two_that_ran_side_by_side() -> None:
    """The answer, who is named, and what is shown, are of the one that failed last."""
    story = rescue(Reply(500, after_s=4.0), sse(FAILED), given=policy(hedging=Hedging(2.0)))

    assert (story.statuses, story.events[0].target) == ([500], "a.com:80")
    assert [place.host for _, place, _ in story.world.announced] == ["a.com", "b.com", "a.com"]


SLOWLY = OutlierPolicy(consecutive_5xx=3, interval_s=1.0, base_ejection_s=10.0, max_ejection_percent=100)
LISTED = OutlierPolicy(
    1, interval_s=1.0, base_ejection_s=10.0, max_ejection_percent=100, error_codes=frozenset({503})
)
CODES = policy(codes=frozenset({401, 429}))


@pytest.mark.parametrize(
    ("given", "detection", "failures", "ejects"),
    [
        pytest.param(policy(), SLOWLY, [429] * 3, True, id="at-the-threshold"),
        pytest.param(policy(), SLOWLY, [429] * 2, False, id="below-it-each-counts-once"),
        pytest.param(policy(), SLOWLY, [429, 500, sse(FAILED)], True, id="with-others"),
        pytest.param(CODES, EJECTS, [401], True, id="whatever-the-policy-lists"),
        pytest.param(policy(codes=frozenset()), EJECTS, [429], False, id="not-listed"),
        pytest.param(policy(), LISTED, [429], False, id="the-mesh-lists-others"),
        pytest.param(policy(), LISTED, [503], True, id="the-mesh-lists-it"),
        pytest.param(policy(), LISTED, [sse(FAILED)], True, id="no-answer-is-none-whatever-the-mesh-lists"),
        pytest.param(policy(), EJECTS, [400], False, id="the-clients-fault"),
    ],
)
def test_what_ejects(
    given: RescuePolicy, detection: OutlierPolicy, failures: list[Reply | int], *, ejects: bool
) -> None:
    """A status that the policy rescues counts for its endpoint as a failure; it is charged once."""
    first = target("a.com", outlier=detection)
    script = [reply for failure in failures for reply in (failure, GOOD[True])]
    if not ejects and failures == [400]:
        script = [400]

    story = play((first, B), (rescuing(given),), *script, requests=(STREAM,) * len(failures))

    assert story.world.health_changes == (["-a.com:80"] if ejects else [])


def test_without_a_policy_a_429_is_a_success() -> None:
    """To the detector, as in Envoy."""
    route = rescuing()
    plain = type(route)(route.name, route.source, route.action, retries=route.retries)

    story = play((target("a.com", outlier=EJECTS), B), (plain,), 429, requests=(POST,))

    assert (story.statuses, story.world.health_changes) == ([429], [])


def test_retry_after_can_be_ignored() -> None:
    """Then a 429 counts like any other failure."""
    later = Reply(429, (("retry-after", "20"),))
    given = policy(max_retry_after_s=0.0)

    story = play((target("a.com"), B), (rescuing(given),), later, GOOD[True], requests=(STREAM,))

    assert (story.world.health_changes, story.places) == ([], ["a.com", "b.com"])


def test_a_429_that_says_when_is_no_failure_besides() -> None:
    """One ejection, for as long as it says; a 503 is a failure to the mesh as well."""
    told = []
    for status in (429, 503):
        later = Reply(status, (("retry-after", "20"),))
        story = play(
            (target("a.com", outlier=EJECTS), B), (rescuing(),), later, GOOD[True], requests=(STREAM,)
        )
        told.append(story.world.health_changes)

    assert told == [["-a.com:80"], ["-a.com:80", "-a.com:80"]]


def test_retry_after_counts_before_a_retry() -> None:
    """At the same target's other endpoint, too."""
    pair = target("a.com", "10.0.0.1", "10.0.0.2")
    rule = rescuing(retries=Retries(1, frozenset(), frozenset({429})))

    story = play(
        (pair, B), (rule,), Reply(429, (("retry-after", "20"),)), *[GOOD[True]] * 3, requests=(STREAM,) * 3
    )

    assert [str(sent.endpoint) for sent in story.world.sent] == ["10.0.0.1:80", *["10.0.0.2:80"] * 3]
    assert story.world.health_changes == ["-10.0.0.1:80"]


def test_a_connection_that_is_lost_after_another_kind_of_failure() -> None:
    """The last failure is what is told, whatever came before."""
    story = rescue(sse(ROLE, HI[:-1], BodyBroken()), Failure.RESET)

    assert (story.statuses, story.flags, story.bodies) == ([503], {"UC"}, [CUT])


def test_a_retry_that_nobody_is_left_for() -> None:
    """It is no attempt: the next target has it."""
    pair = target("a.com", "10.0.0.1", "10.0.0.2", outlier=EJECTS)
    given = policy(attempts=2)
    resets = rescuing(given, retries=Retries(1, frozenset({"reset"})))

    story = play((pair, B), (resets,), 500, GOOD[True], Failure.RESET, GOOD[True], requests=(STREAM, STREAM))

    assert (story.places, story.statuses) == (["a.com", "b.com", "a.com", "b.com"], [200, 200])
    assert is_clean(story)


def test_nobody_is_prepared_for_who_is_not_asked() -> None:
    """A request is not rewritten for a target that the budget has no room for."""
    prepared: list[str] = []

    def candidate(to: Target) -> Candidate:
        def outgoing() -> Outgoing:
            prepared.append(to.host)
            return Outgoing("POST", "/chat", (), b"{}", None)

        return Candidate(to, outgoing)

    async def main(clock: Callable[[], float]) -> None:
        world = World(clock, (A, B), None)
        world.replies(500)
        given = policy(budget=Budget(percent=0, minimum=0))
        await Rescue(world, given, map(candidate, (A, B)), Limits(NO_RETRIES), world).run()

    run(main)
    assert prepared == ["a.com"]
