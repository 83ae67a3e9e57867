"""What a client gets: heads with the rules' changes, bodies as they come, and how they end."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from llm_fallback.config.routes import HeaderOperations, Headers, Retries, RouteDestination
from llm_fallback.events import Handled
from llm_fallback.outlier import Endpoint, OutlierPolicy
from llm_fallback.retry import Failure
from llm_fallback.upstream.answers import End, Head
from llm_fallback.upstream.client import BodyBroken
from llm_fallback.upstream.exchange import Exchange
from llm_fallback.upstream.record import Record
from llm_fallback.upstream.shared import LostAttempt
from tests.upstream.exchanging import POST, play, rule, snapshot, to
from tests.upstream.rescuing import policy
from tests.upstream.virtual_time import run
from tests.upstream.world import EJECTS, SILENCE, Reply, World, target

A = target("a.com", outlier=EJECTS)
B = target("b.com")
PLAIN = rule(to("a.com"))


def test_an_answer_as_it_is() -> None:
    """Status, end-to-end headers and body, with Envoy's marks in place of the provider's."""
    theirs = (("Content-Type", "text/x"), ("Server", "them"), ("Connection", "x-hop"), ("X-Hop", "1"))

    story = play((A,), (PLAIN,), Reply(404, theirs, (b"one", 0.5, b"two"), after_s=0.25))

    assert (story.statuses, story.bodies, story.ends) == ([404], [b"onetwo"], [End.COMPLETE])
    headers = dict(story.heads[0].headers)
    del headers["date"]
    assert headers == {"Content-Type": "text/x", "server": "envoy", "x-envoy-upstream-service-time": "250"}


def test_the_providers_date_stays() -> None:
    """Only a missing one is added, to our own answers as well: the moment at which they began."""
    then = (("date", "then"),)

    story = play((A,), (PLAIN,), Reply(200, then), Reply(200, after_s=2.5), 500, requests=(POST,) * 4)

    assert story.statuses == [200, 200, 500, 503]
    now = "Fri, 15 Jan 2027 08:00:02 GMT"
    assert [value for head in story.heads for name, value in head.headers if name == "date"] == [
        "then",
        *[now] * 3,
    ]


@pytest.mark.parametrize(
    ("body", "has_body"),
    [
        pytest.param((), False, id="none"),
        pytest.param((b"all",), True, id="there-already"),
        pytest.param((0.5, b"late"), True, id="still-to-come"),
    ],
)
def test_whether_a_body_follows(body: tuple[bytes | float, ...], *, has_body: bool) -> None:
    """The head says so before the body is there."""
    story = play((A,), (PLAIN,), Reply(200, (), body))

    assert (story.heads[0].has_body, story.ends) == (has_body, [End.COMPLETE])


def response(*, set: str = "", add: str = "", remove: str = "") -> Headers:  # noqa: A002 - Istio's name
    """Operations on headers of this value, by its name."""
    return Headers(
        response=HeaderOperations(
            ((set, "set"),) if set else (), ((add, "added"),) if add else (), (remove,) if remove else ()
        )
    )


def test_header_operations() -> None:
    """Removals, then replacements, then additions; on upstreams' answers."""
    reply = Reply(200, (("x-a", "1"), ("x-b", "2"), ("x-c", "3")))

    story = play((A,), (rule(to("a.com"), headers=response(remove="x-a", set="x-b", add="x-c")),), reply)

    assert [(n, v) for n, v in story.heads[0].headers if n.startswith("x-") and len(n) == 3] == [
        ("x-c", "3"),
        ("x-b", "set"),
        ("x-c", "added"),
    ]


@pytest.mark.parametrize(
    ("destinations", "value"),
    [
        pytest.param((to("a.com", headers=response(set="x-a")),), "set", id="on-top-of-the-rules"),
        pytest.param(
            (to("a.com", headers=response(set="x-a")), to("b.com")), None, id="before-them-among-several"
        ),
    ],
)
def test_a_destinations_operations(destinations: tuple[RouteDestination, ...], value: str | None) -> None:
    """Istio joins them for a single destination; Envoy does them first where there are several."""
    route = rule(*destinations, headers=response(remove="x-a"))

    assert play((A, B), (route,), 200).header("x-a") == value


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Failure.RESET, id="connect-error"),
        pytest.param(Failure.OVERFLOW, id="overflow"),
        pytest.param(SILENCE, id="timeout"),
    ],
)
def test_local_replies_are_changed_too(reply: Reply | Failure) -> None:
    """By the rule and by the destination that was chosen; `server` and `date` are nobody's to change."""
    route = rule(to("a.com", headers=response(set="x-a")), headers=response(add="x-b"), timeout_s=1.0)

    story = play((A,), (route,), reply)

    assert (story.header("x-a"), story.header("x-b")) == ("set", "added")
    assert (story.header("content-type"), story.header("server")) == ("text/plain", "envoy")
    assert story.header("content-length") == str(len(story.bodies[0]))


def test_the_timeout_before_headers() -> None:
    """504 `upstream request timeout`, flag UT, and the endpoint is charged."""
    story = play((A,), (rule(to("a.com"), timeout_s=0.5),), SILENCE)

    assert (story.statuses, story.bodies, story.flags) == ([504], [b"upstream request timeout"], {"UT"})
    assert story.world.health_changes == ["-a.com:80"]


def test_the_timeout_after_headers() -> None:
    """The answer is cut off, flag UT, and nobody is charged with what has begun well."""
    story = play(
        (A,), (rule(to("a.com"), timeout_s=1.0),), Reply(200, (), (b"one", 0.75, b"two", 9.0, b"three"))
    )

    assert (story.statuses, story.bodies, story.ends) == ([200], [b"onetwo"], [End.BROKEN])
    assert (story.flags, story.events[0].status, story.world.health_changes) == ({"UT"}, 200, [])
    assert story.events[0].duration_s == pytest.approx(1.0, abs=0.001)
    assert story.world.responses[0].is_released


def test_a_per_try_timeout_ends_with_the_headers() -> None:
    """A stream may take longer."""
    policy = Retries(1, frozenset({"5xx"}), per_try_timeout_s=0.5)

    story = play(
        (A,), (rule(to("a.com"), retries=policy),), Reply(200, (), (b"one", 5.0, b"two"), after_s=0.25)
    )

    assert (story.bodies, story.ends, story.flags) == ([b"onetwo"], [End.COMPLETE], set())


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        pytest.param(b"", b"one", id="nothing-left"),
        pytest.param(b"tw", b"onetw", id="what-has-come-goes-out"),
    ],
)
def test_a_body_that_breaks(rest: bytes, body: bytes) -> None:
    """It ends broken, is never tried again, and counts against the endpoint."""
    policy = Retries(2, frozenset({"5xx", "reset"}))
    reply = Reply(200, (), (b"one", 0.5, BodyBroken()), rest=rest)

    story = play((A,), (rule(to("a.com"), retries=policy),), reply)

    assert (story.statuses, story.bodies, story.ends, len(story.world.sent)) == (
        [200],
        [body],
        [End.BROKEN],
        1,
    )
    assert (story.flags, story.world.health_changes) == ({"UC"}, ["-a.com:80"])
    assert story.world.responses[0].is_released


@pytest.mark.parametrize(
    ("status", "is_ejected"), [pytest.param(200, False, id="200"), pytest.param(500, True, id="500")]
)
def test_a_cut_body_and_its_status(status: int, *, is_ejected: bool) -> None:
    """A 200 resets before its break counts 1; a 500 and its break are two."""
    counting = target("a.com", outlier=OutlierPolicy(2, max_ejection_percent=100))

    story = play((counting,), (PLAIN,), *[Reply(status, (), (0.5, BodyBroken()))] * 3, requests=(POST,) * 3)

    assert story.world.health_changes == (["-a.com:80"] if is_ejected else [])


def leave(reply: Reply, *, after_s: float) -> tuple[World, Exchange]:
    """A client that waits for the next pieces only so long."""

    async def main(clock: Callable[[], float]) -> tuple[World, Exchange]:
        world = World(clock, (A,), None)
        world.replies(reply)
        exchange = Exchange(world, snapshot((A,), (PLAIN,)), POST, world)
        try:
            async with asyncio.timeout(after_s):
                while not exchange.is_over:
                    await exchange.pieces()
        except TimeoutError:
            exchange.close()
        return world, exchange

    return run(main)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        pytest.param(SILENCE, None, id="before-headers"),
        pytest.param(Reply(200, (), (b"one", 9.0, b"two")), 200, id="in-the-body"),
    ],
)
def test_a_client_that_leaves(reply: Reply, status: int | None) -> None:
    """Flag DC; the connection is let go of, and nothing is proved about the provider."""
    world, exchange = leave(reply, after_s=1.0)

    assert exchange.is_over
    assert [(event.status, event.flags) for event in world.handled_events] == [(status, ("DC",))]
    assert world.health_changes == []
    assert all(response.is_released for response in world.responses)


def test_closing_what_is_over_changes_nothing() -> None:
    """It is told once."""
    world, exchange = leave(Reply(200, (), (b"one",)), after_s=1.0)

    exchange.close()

    assert [(event.status, event.flags) for event in world.handled_events] == [(200, ())]


class Broken(World):
    """One whose balancing has a defect."""

    def pick(self, *_: object, **__: object) -> Endpoint:
        """Never works; what it quotes must not get out."""
        raise ValueError("".join(["Bearer", " ", "sec", "ret"]))  # the log shows this line


def test_a_defect_of_ours_fails_closed(caplog: pytest.LogCaptureFixture) -> None:
    """500 with a fixed text, no attempt, and a log line that quotes nothing of the request."""
    two = target("a.com", "10.0.0.1", "10.0.0.2")

    async def main(clock: Callable[[], float]) -> list[object]:
        world = Broken(clock, (two,), None)
        exchange = Exchange(world, snapshot((two,), (PLAIN,)), POST, world)
        pieces: list[object] = list(await exchange.pieces())
        assert (exchange.is_over, world.sent) == (True, [])
        return pieces

    with caplog.at_level(logging.ERROR):
        head, body, end = run(main)

    assert isinstance(head, Head)
    assert (head.status, end) == (500, End.COMPLETE)
    assert body == b"llm-fallback failed to handle this request; its log says why"
    assert "ValueError" in caplog.text
    assert "Bearer secret" not in caplog.text


def test_a_defect_after_the_answer_has_begun() -> None:
    """It is cut on this side, which is neither the client's doing nor the provider's."""

    class Forgetful(Record):
        """Fails to remember more than a beginning."""

        def add(self, piece: bytes, *, now: float) -> None:
            if self.size:
                raise ValueError("full")
            super().add(piece, now=now)

    async def main(clock: Callable[[], float]) -> World:
        world = World(clock, (A,), None)
        world.replies(Reply(200, (), (b"one", 1.0, b"two")))
        exchange = Exchange(world, snapshot((A,), (PLAIN,)), POST, world)
        exchange.record = Forgetful()
        assert (await exchange.pieces())[1:] == [b"one"]
        assert await exchange.pieces() == [End.BROKEN]
        exchange.close()
        return world

    world = run(main)
    assert [(event.status, event.flags) for event in world.handled_events] == [(200, ("LR",))]
    assert world.health_changes == []
    assert all(response.is_released for response in world.responses)


def test_a_rule_that_cannot_be_carried_out() -> None:
    """What is told is what the client gets, once."""
    story = play((A,), (rule(to("nobody.com"), headers=cast(Headers, None)),))

    assert [event.status for event in story.events] == story.statuses == [500]


class Deaf(World):
    """One that cannot be told what has happened."""

    def handled(self, event: Handled) -> None:
        """Fails when all is over."""
        super().handled(event)
        raise ValueError("what?")

    def lost(self, attempt: LostAttempt) -> None:
        """Fails in between."""
        super().lost(attempt)
        raise ValueError("what?")


@pytest.mark.parametrize(
    "body", [pytest.param((b"all",), id="at-once"), pytest.param((b"one", 1.0, b"two"), id="in-pieces")]
)
def test_a_listener_with_a_defect(body: tuple[bytes | float, ...], caplog: pytest.LogCaptureFixture) -> None:
    """The client has its answer, the others hear of it, and nothing stays; the defect is reported."""

    async def main(clock: Callable[[], float]) -> tuple[World, list[object]]:
        world = Deaf(clock, (A, B), None)
        world.replies(500, Reply(200, (), body))
        route = rule(to("a.com", fallback="b.com"), rescue=policy(), retries=Retries(0, frozenset()))
        exchange = Exchange(world, snapshot((A, B), (route,)), POST, world)
        pieces: list[object] = []
        while not exchange.is_over:
            pieces += await exchange.pieces()
        exchange.close()
        return world, pieces

    with caplog.at_level(logging.ERROR):
        world, pieces = run(main)

    assert pieces[1:] == [*(piece for piece in body if isinstance(piece, bytes)), End.COMPLETE]
    assert len(world.handled_events) == len(world.lost_attempts) == 1
    assert [event for event in world.events if isinstance(event, Handled)] == world.handled_events
    assert (world.budget.requests, world.budget.attempts) == (0, 0)
    assert caplog.text.count("ValueError while handling a request") == 2


def test_a_host_that_is_not_managed() -> None:
    """It never becomes an exchange."""

    async def main(clock: Callable[[], float]) -> None:
        world = World(clock, (A,), None)
        with pytest.raises(LookupError):
            Exchange(world, snapshot((A,), (PLAIN,)), replace(POST, host="b.com"), world)

    run(main)
