"""Attempts at one target: what is tried again, where, and what is charged to whom."""

import pytest

from llm_fallback.config.snapshot import Target
from llm_fallback.local_replies import NO_HEALTHY_UPSTREAM, Flag
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import OutlierPolicy
from llm_fallback.retry import MAX_REPLAY_BYTES, Failure
from tests.upstream.attempting import WATCHED, Script, attempt, outcome, retries
from tests.upstream.world import EJECTS, SILENCE, UNREACHABLE, Reply, target

THREE = target("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3")
REFUSED, RESET, GARBAGE = Failure.CONNECT_FAILURE, Failure.RESET, Failure.PROTOCOL_ERROR


def grpc(status: int) -> Reply:
    return Reply(200, (("grpc-status", str(status)),))


def limited(status: int) -> Reply:
    return Reply(status, (("x-envoy-ratelimited", "true"),))


@pytest.mark.parametrize(
    ("word", "script", "attempts"),
    [
        pytest.param("5xx", (500, 503, 529, 200), 4, id="5xx"),
        pytest.param("5xx", (REFUSED, RESET, GARBAGE, 200), 4, id="5xx-no-answer"),
        pytest.param("5xx", (limited(503),), 1, id="5xx-is-not-ratelimited"),
        pytest.param("5xx", (Failure.OVERFLOW,), 1, id="an-overflow-never"),
        pytest.param("gateway-error", (502, 503, 504, 200), 4, id="gateway-error"),
        pytest.param("gateway-error", (503, 500), 2, id="gateway-error-is-no-500"),
        pytest.param("gateway-error", (RESET, REFUSED, GARBAGE, 200), 4, id="gateway-error-no-answer"),
        pytest.param("reset", (RESET, REFUSED, GARBAGE, 503), 4, id="reset-is-no-503"),
        pytest.param("connect-failure", (REFUSED, Failure.CONNECT_TIMEOUT, 200), 3, id="connect-failure"),
        pytest.param("connect-failure", (RESET,), 1, id="connect-failure-is-no-reset"),
        pytest.param("reset-before-request", (REFUSED, RESET), 2, id="reset-before-request"),
        pytest.param("retriable-4xx", (409, 409, 429), 3, id="409-but-not-429"),
        pytest.param("envoy-ratelimited", (limited(429), 429), 2, id="ratelimited"),
        pytest.param("unavailable", (grpc(14), 200), 2, id="grpc-unavailable"),
        pytest.param("unavailable", (grpc(1),), 1, id="another-grpc-status"),
        pytest.param("cancelled", (grpc(1), 200), 2, id="grpc-cancelled"),
        pytest.param("deadline-exceeded", (grpc(4), 200), 2, id="grpc-deadline-exceeded"),
        pytest.param("resource-exhausted", (grpc(8), 200), 2, id="grpc-resource-exhausted"),
        pytest.param("internal", (grpc(13), 200), 2, id="grpc-internal"),
        pytest.param("retriable-status-codes", (503,), 1, id="codes-without-any"),
        pytest.param("retriable-headers", (503,), 1, id="retriable-headers"),
        pytest.param("refused-stream", (503,), 1, id="refused-stream"),
        pytest.param("http3-post-connect-failure", (RESET,), 1, id="http3"),
    ],
)
def test_what_is_tried_again(word: str, script: Script, attempts: int) -> None:
    """Each word of `retryOn`; the last result is the client's."""
    world, made, result = attempt(script, retries(9, word))

    assert len(world.sent) == len(made.made) == len(script) == attempts
    last = script[-1] if not isinstance(script[-1], Reply) else script[-1].result
    if isinstance(last, int):
        assert outcome(result) == last
    assert made.flags == ()


@pytest.mark.parametrize("status", [404, 429, 503])
def test_codes_are_tried_again(status: int) -> None:
    """Numbers in `retryOn`."""
    world, _, result = attempt((status, 200), retries(2, codes=(status,)))

    assert (len(world.sent), outcome(result)) == (2, 200)


@pytest.mark.parametrize(
    ("attempts", "sent", "flags"),
    [
        pytest.param(0, 1, (), id="0-is-no-policy"),
        pytest.param(1, 2, (Flag("URX"),), id="1"),
        pytest.param(4, 5, (Flag("URX"),), id="4"),
    ],
)
def test_how_often(attempts: int, sent: int, flags: tuple[Flag, ...]) -> None:
    """`attempts` counts the retries; when they are used up, the last answer goes out, flagged."""
    world, made, result = attempt((503,) * 9, retries(attempts, "5xx"))

    assert (len(world.sent), outcome(result), made.flags) == (sent, 503, flags)


def test_a_success_after_retries_has_no_flag() -> None:
    """Not even at the last retry."""
    _, made, result = attempt((503, 503, 200), retries(2, "5xx"))

    assert (outcome(result), made.flags) == (200, ())


def test_every_attempt_is_told_and_numbered() -> None:
    """Envoy's count goes out with each, in place of the client's; the watcher sees what is sent."""
    outgoing = Outgoing("POST", "/", (("Host", "a.com"), ("X-Envoy-Attempt-Count", "7")), b"", None)

    world, made, _ = attempt((503, REFUSED, 200), retries(2, "5xx"), outgoing=outgoing)

    assert [sent.header("x-envoy-attempt-count") for sent in world.sent] == ["1", "2", "3"]
    assert [len(sent.outgoing.headers) for sent in world.sent] == [2, 2, 2]
    assert [told for told, _, _ in world.announced] == [sent.outgoing for sent in world.sent]
    assert [each.result for each in made.made] == ["503", "connect-failure (as scripted)", "200"]
    told = [(each.target, each.status, each.failure) for each in made.made]
    assert told == [("a.com:80", 503, None), ("a.com:80", None, "connect-failure"), ("a.com:80", 200, None)]


def test_answers_that_are_not_passed_on_are_let_go() -> None:
    """Their connections go back before the next attempt; the last one is still to be read."""
    world, _, _ = attempt((503, 500, 200), retries(2, "5xx"))

    assert [response.is_released for response in world.responses] == [True, True, False]


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        pytest.param(1_000_000, 2, id="as-measured-on-envoy"),
        pytest.param(MAX_REPLAY_BYTES, 2, id="exactly-1-MiB"),
        pytest.param(MAX_REPLAY_BYTES + 1, 1, id="one-byte-more"),
    ],
)
def test_a_large_body_is_sent_once(size: int, sent: int) -> None:
    """Envoy keeps no more than its buffer for retries; the client gets the first answer, unflagged."""
    outgoing = Outgoing("POST", "/", (), b"x" * size, None)

    world, made, result = attempt((503, 200), retries(1, "5xx"), outgoing=outgoing)

    assert (len(world.sent), outcome(result), made.flags) == (sent, 200 if sent == 2 else 503, ())


def test_other_endpoints_are_tried_first() -> None:
    """Up to five more picks; `retryIgnorePreviousHosts: false` takes whatever is picked."""
    picks_again, _, _ = attempt((503, 503, 200), retries(2, "5xx"), THREE)
    assert [sent.endpoint.address for sent in picks_again.sent] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

    two = target("a.com", "10.0.0.1", "10.0.0.2")
    avoiding, _, _ = attempt((503,) * 3, retries(2, "5xx"), two)
    assert len(avoiding.hash_keys) == 1 + 1 + 6  # the third finds nobody new
    taking, _, _ = attempt((503,) * 3, retries(2, "5xx", avoid_tried=False), two)
    assert len(taking.hash_keys) == 3


def test_the_hash_key_holds_for_all_attempts() -> None:
    """The balancer decides by it each time."""
    world, _, _ = attempt((503, 200), retries(1, "5xx"), THREE, hash_key=42)

    assert world.hash_keys == [42, 42]


def test_the_tutorials_first_request() -> None:
    """The failed connection ejects, and the retry finds nobody."""
    world, made, result = attempt((REFUSED,), to=WATCHED)

    assert result == NO_HEALTHY_UPSTREAM
    assert (world.health_changes, made.flags) == (["-a.com:80"], ())
    assert [(each.endpoint, each.result) for each in made.made] == [
        ("a.com:80", "connect-failure (as scripted)"),
        (None, "no healthy endpoint"),
    ]


def test_without_endpoints_nothing_is_sent() -> None:
    """And nobody is charged."""
    nobody = Target("a.com", 80, (), outlier=EJECTS)

    world, _, result = attempt((), to=nobody)

    assert (result, world.sent, world.events) == (NO_HEALTHY_UPSTREAM, [], [])


@pytest.mark.parametrize(
    ("reply", "split", "is_charged"),
    [
        pytest.param(500, False, True, id="500"),
        pytest.param(429, False, False, id="429"),
        pytest.param(REFUSED, False, True, id="connect-failure"),
        pytest.param(RESET, False, True, id="reset"),
        pytest.param(GARBAGE, False, True, id="protocol-error"),
        pytest.param(Failure.OVERFLOW, False, False, id="overflow"),
        pytest.param(SILENCE, False, True, id="timeout"),
        pytest.param(UNREACHABLE, False, False, id="timeout-while-connecting"),
        pytest.param(500, True, True, id="split-500"),
        pytest.param(REFUSED, True, True, id="split-connect-failure"),
        pytest.param(RESET, True, True, id="split-reset"),
        pytest.param(Failure.OVERFLOW, True, False, id="split-overflow"),
        pytest.param(SILENCE, True, True, id="split-timeout"),
        pytest.param(UNREACHABLE, True, False, id="split-timeout-while-connecting"),
    ],
)
def test_what_is_charged(reply: Reply | int | Failure, *, split: bool, is_charged: bool) -> None:
    """Answers of 5xx, failures of connecting, resets and silence; no overflow, and no time used up before."""
    policy = OutlierPolicy(1, 1, split, 1, max_ejection_percent=100)

    world, _, _ = attempt((reply,), retries(0), target(outlier=policy), timeout_s=1.0)

    assert world.health_changes == (["-a.com:80"] if is_charged else [])


def test_split_failures_after_connecting_never_add_up() -> None:
    """Each attempt's connection is a success of local origin; two refusals in a row are two failures."""
    split = target(outlier=OutlierPolicy(9, 9, split_local_origin=True, consecutive_local_origin=2,
                                         max_ejection_percent=100))  # fmt: skip

    reset, _, _ = attempt((RESET,) * 4, retries(3, "reset"), split)
    refused, _, _ = attempt((REFUSED,) * 2, retries(3, "reset"), split)

    assert (reset.health_changes, refused.health_changes) == ([], ["-a.com:80"])


def test_each_attempt_counts() -> None:
    """Three failures in one request eject at threshold 3."""
    watched = target(outlier=OutlierPolicy(3, max_ejection_percent=100))

    world, _, result = attempt((500,) * 3, retries(2, "5xx"), watched)

    assert (world.health_changes, outcome(result)) == (["-a.com:80"], 500)


def test_the_percentage_is_of_all_endpoints() -> None:
    """One of three is more than 10 percent."""
    watched = target("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3", outlier=OutlierPolicy(1))

    world, _, _ = attempt((500,), retries(0), watched)

    assert world.health_changes == []


def test_too_many_retries_at_once() -> None:
    """The circuit breaker on retries: the answer goes out as it is, flagged as an overflow."""
    world, made, result = attempt((503, 200), retries(2, "5xx"), max_retries=0)

    assert (len(world.sent), outcome(result), made.flags) == (1, 503, (Flag("UO"),))


@pytest.mark.parametrize("script", [(503, 200), (503, 503, 503), (503, Failure.OVERFLOW)])
def test_retries_are_counted_while_they_last(script: Script) -> None:
    """One at a time here, none afterwards."""
    world, _, _ = attempt(script, retries(2, "5xx"), max_retries=1)

    assert len(world.sent) == len(script)
    assert world.scripted.retrying.count == 0
