"""One target after another: every failure, two targets and three, and what is left when all are lost."""

from dataclasses import replace

import pytest

from llm_fallback.config.rescue import Limits, RescuePolicy
from llm_fallback.config.routes import Retries
from llm_fallback.config.snapshot import Provider, ProviderConfig
from llm_fallback.resources.llmfallbackpolicy import AllEjected
from llm_fallback.retry import Failure
from llm_fallback.upstream.answers import End
from llm_fallback.upstream.client import BodyBroken
from tests.upstream.exchanging import POST, play
from tests.upstream.rescuing import (
    DONE,
    FAILED,
    GOOD,
    HI,
    KEEP_ALIVE,
    ROLE,
    STOP,
    STREAM,
    WORD,
    A,
    B,
    C,
    is_clean,
    policy,
    rescue,
    rescuing,
    sse,
    told,
    whole,
)  # fmt: skip
from tests.upstream.world import EJECTS, SILENCE, UNREACHABLE, Reply, target

HANG = Reply(after_s=1e6)
OF_BOTH = [
    pytest.param(Failure.CONNECT_FAILURE, "connect-failure", 503, id="refused"),
    pytest.param(Failure.CONNECT_TIMEOUT, "connect-timeout", 503, id="connect-hang"),
    pytest.param(Failure.RESET, "reset", 503, id="reset"),
    pytest.param(Failure.PROTOCOL_ERROR, "protocol-error", 502, id="garbage"),
    pytest.param(Failure.OVERFLOW, "overflow", 503, id="overflow"),
    pytest.param(Reply(500), "500", 500, id="500"),
    pytest.param(Reply(529), "529", 529, id="529"),
    pytest.param(Reply(429), "429", 429, id="429"),
]
STREAMS = [
    pytest.param(HANG, "first-token-timeout", 504, id="hang"),
    pytest.param(sse(), "cut-answer", 503, id="nothing"),
    pytest.param(sse(1e6), "first-token-timeout", 504, id="hang-after-200"),
    pytest.param(sse(*(KEEP_ALIVE, 3.0) * 9), "first-token-timeout", 504, id="keep-alive-only"),
    pytest.param(sse(ROLE, BodyBroken()), "cut-answer", 503, id="cut"),
    pytest.param(sse(FAILED), "error-answer", 502, id="error"),
    pytest.param(sse(STOP, DONE), "empty-answer", 502, id="empty"),
    pytest.param(sse(b"data: <html>\n\n"), "invalid-answer", 502, id="invalid"),
]
JSONS = [
    pytest.param(HANG, "response-timeout", 504, id="hang"),
    pytest.param(whole(1e6), "first-token-timeout", 504, id="hang-after-200"),
    pytest.param(whole(*(b"\n", 3.0) * 9), "first-token-timeout", 504, id="blank-lines-only"),
    pytest.param(whole(WORD[:9], BodyBroken()), "cut-answer", 503, id="cut"),
    pytest.param(whole(b'{"error": "m"}'), "error-answer", 502, id="error"),
    pytest.param(whole(b'{"choices": []}'), "empty-answer", 502, id="empty"),
    pytest.param(whole(b"<html>"), "invalid-answer", 502, id="invalid"),
]
FAULTS = [
    *(pytest.param(True, *case.values, id=f"sse-{case.id}") for case in OF_BOTH + STREAMS),
    *(pytest.param(False, *case.values, id=f"json-{case.id}") for case in OF_BOTH + JSONS),
]


@pytest.mark.parametrize("others", [1, 2])
@pytest.mark.parametrize(("is_stream", "fault", "reason", "status"), FAULTS)
def test_every_failure(
    others: int, fault: Reply | Failure, reason: str, status: int, *, is_stream: bool
) -> None:
    """Is rescued wherever there is somebody who can; otherwise the client gets one error, and all of it.

    It counts in the detector of its endpoint, once.
    """
    asked = STREAM if is_stream else POST
    given = policy(chain=("c.com",) if others == 2 else ())

    saved = rescue(*[fault] * others, GOOD[is_stream], given=given, requests=(asked,))
    lost = rescue(*[fault] * (others + 1), given=given, requests=(asked,))

    assert (saved.statuses, saved.ends, saved.places[-1]) == (
        [200],
        [End.COMPLETE],
        ("b.com", "c.com")[others - 1],
    )
    assert told(saved).reasons == tuple(f"{name}.com:80: {reason}" for name in "ab"[:others])
    assert (lost.statuses, lost.ends) == ([status], [End.COMPLETE])
    assert lost.places == [f"{name}.com" for name in "abc"[: others + 1]]
    assert (lost.header("x-should-retry"), told(lost).is_spent) == ("false", True)
    assert (saved.header("x-should-retry"), told(saved).is_spent) == (None, False)
    failed = [] if reason == "overflow" else [f"-{name}.com:80" for name in "ab"[:others]]
    assert [change for change in saved.world.health_changes if change.startswith("-")] == failed
    assert (is_clean(saved), is_clean(lost)) == (True, True)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        pytest.param(policy(failures=frozenset({"5xx"}), codes=frozenset()), 429, id="not-covered"),
        pytest.param(policy(), 400, id="the-clients-fault"),
        pytest.param(policy(unless_slower_than_s=2.0), Reply(503, after_s=3.0), id="too-slow"),
        pytest.param(policy(failures=frozenset({"5xx"})), sse(FAILED), id="an-error-that-is-let-through"),
    ],
)
def test_what_is_not_rescued(given: RescuePolicy, fault: Reply | int) -> None:
    """Is passed on; the client may try again."""
    story = rescue(fault, given=given)

    assert (story.places, story.header("x-should-retry"), told(story).is_spent) == (["a.com"], None, False)
    assert is_clean(story)


def test_attempts_are_counted() -> None:
    """No more than the policy says, a target's retries included; who is ejected costs nothing."""
    pair = target("a.com", "10.0.0.1", "10.0.0.2", outlier=EJECTS)
    retries = Retries(5, frozenset({"connect-failure"}))
    both = play((pair, B), (rescuing(retries=retries),), *[Failure.CONNECT_FAILURE] * 2, GOOD[False])
    one = play((pair, B), (rescuing(policy(attempts=1), retries=retries),), Failure.CONNECT_FAILURE)
    skipped = rescue(500, 500, GOOD[False], given=policy(attempts=2, chain=("c.com",)), requests=(POST, POST))

    assert both.places == ["a.com", "a.com", "b.com"]
    assert (one.places, one.statuses, told(one).is_spent) == (["a.com"], [503], True)
    assert (skipped.places, skipped.statuses) == (["a.com", "b.com", "c.com"], [500, 200])
    assert told(skipped).reasons == ("a.com:80: ejected", "b.com:80: ejected")


def test_the_deadline() -> None:
    """Bounds everything: a hang is cut short, and nothing new begins."""
    given = policy(deadline_s=12.0, chain=("c.com",))

    story = rescue(SILENCE, SILENCE, given=given)
    slow = rescue(UNREACHABLE, given=given)
    backing_off = rescue(500, given=policy(deadline_s=12.0, backoff_s=20.0))

    assert (story.places, story.statuses, story.bodies) == (
        ["a.com", "b.com"],
        [504],
        [b"upstream request timeout"],
    )
    assert story.events[0].duration_s == pytest.approx(12.0, abs=0.01)
    assert told(story).reasons == ("a.com:80: first-token-timeout", "b.com:80: deadline")
    assert (slow.statuses, slow.places) == ([504], ["a.com"])
    assert backing_off.statuses == [500]
    assert backing_off.events[0].duration_s == pytest.approx(0.0, abs=0.01)


def test_the_rules_timeout_bounds_too() -> None:
    """It spans all attempts."""
    story = play((A, B), (rescuing(timeout_s=4.0),), SILENCE, requests=(STREAM,))

    assert story.statuses == [504]
    assert story.events[0].duration_s == pytest.approx(4.0, abs=0.01)


def test_back_off() -> None:
    """Between targets."""
    story = rescue(500, GOOD[True], given=policy(backoff_s=2.0))

    assert [sent.at for sent in story.world.sent] == [0.0, 2.0]


@pytest.mark.parametrize(
    ("limits", "asked", "reply", "seconds"),
    [
        pytest.param(Limits(9.0, 4.0, 1.0), STREAM, SILENCE, 4.0, id="a-streams-first-token-needs-headers"),
        pytest.param(Limits(3.0, 4.0, 1.0), STREAM, SILENCE, 3.0, id="headers"),
        pytest.param(Limits(9.0, 4.0, 1.0), POST, SILENCE, 9.0, id="json-comes-with-its-headers"),
        pytest.param(Limits(9.0, 4.0, 1.0), STREAM, sse(1e6, after_s=3.0), 4.0, id="from-the-beginning"),
        pytest.param(Limits(9.0, 4.0, 1.0), POST, whole(1e6, after_s=8.0), 12.0, id="from-the-headers"),
    ],
)
def test_limits(limits: Limits, asked: object, reply: Reply, seconds: float) -> None:
    """Of one attempt."""
    assert asked in (STREAM, POST)
    requests = (STREAM if asked is STREAM else POST,)

    story = rescue(reply, GOOD[True], given=policy(limits=limits), requests=requests)

    assert [sent.at for sent in story.world.sent] == [0.0, pytest.approx(seconds, abs=0.01)]


def test_a_slow_answer_is_one() -> None:
    """JSON that takes long, blank lines before it and all."""
    story = rescue(whole(b"\n", 4.0, b"\n", 4.0, WORD, after_s=20.0), requests=(POST,))

    assert (story.places, story.bodies) == (["a.com"], [b"\n\n" + WORD])


def test_all_ejected() -> None:
    """At once, or by who is back first; whoever has answered nothing is asked once."""
    fail = policy(all_ejected=AllEjected.FAIL)
    failing = rescue(500, 500, requests=(STREAM, STREAM), given=fail)
    trying = rescue(Reply(500, after_s=2.0), 500, GOOD[True], requests=(STREAM, STREAM))

    assert (failing.statuses, failing.bodies[1], failing.places) == (
        [500, 503], b"no healthy upstream", ["a.com", "b.com"],
    )  # fmt: skip
    assert (failing.header("retry-after"), failing.header("x-should-retry")) == ("10", "false")
    assert failing.events[1].target == "a.com:80"
    assert (trying.statuses, trying.places) == ([500, 200], ["a.com", "b.com", "a.com"])


def test_who_asked_to_be_left_alone_is() -> None:
    """Not even when nobody else is left; the client is told when there will be somebody."""
    later = Reply(429, (("retry-after", "20"),))
    story = rescue(later, later, requests=(STREAM, STREAM), given=policy(max_retry_after_s=15.0))

    assert (story.statuses, story.places) == ([429, 503], ["a.com", "b.com"])
    assert story.header("retry-after") == "15"
    assert set(story.world.health_changes) == {"-a.com:80", "-b.com:80"}


def test_a_body_is_made_once_for_all_who_get_the_same() -> None:
    """What a large one costs, it costs once."""
    served = Provider("p", default=ProviderConfig("big"))
    both = tuple(replace(each, provider=served) for each in (A, B))
    request = replace(POST, path="/v1/chat/completions", body=b'{"a": 1}')

    story = play(both, (rescuing(),), 503, GOOD[False], requests=(request,))

    first, second = (sent.outgoing.body for sent in story.world.sent)
    assert first == b'{"model": "big", "a": 1}'
    assert first is second


def test_panic_asks_nobody_who_is_out() -> None:
    """A policy has better targets."""
    pair = target("a.com", "10.0.0.1", "10.0.0.2", outlier=EJECTS, panic_threshold=100)
    story = play((pair, B), (rescuing(),), 500, *[GOOD[False]] * 5, requests=(POST,) * 5)

    asked = [str(sent.endpoint) for sent in story.world.sent if sent.host == "a.com"]
    assert (asked.count("10.0.0.1:80"), story.statuses) == (1, [200] * 5)


def test_no_policy_no_rescue() -> None:
    """The request is lost, nothing is held, and nothing is marked."""
    plain = rescuing()
    route = type(plain)(plain.name, plain.source, plain.action, retries=plain.retries)

    story = play((A, B, C), (route,), sse(FAILED, HI, STOP, DONE), 500, requests=(STREAM, STREAM))

    assert (story.statuses, story.bodies[0]) == ([200, 500], FAILED + HI + STOP + DONE)
    assert [event.rescue for event in story.events] == [None, None]
    assert not any(
        name.startswith("x-") and "envoy" not in name for head in story.heads for name, _ in head.headers
    )
    assert story.world.sent[0].header("accept-encoding") is None
