"""Requests for which a person has pinned the host, or ejected endpoints by hand."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from llm_fallback.config.routes import HeaderOperations, Route
from llm_fallback.config.routes import Headers as Operations
from llm_fallback.config.snapshot import Target
from llm_fallback.outlier import Endpoint
from llm_fallback.retry import Failure
from tests.upstream.attempting import retries
from tests.upstream.exchanging import POST, Story, play, rule, to
from tests.upstream.rescuing import policy
from tests.upstream.world import Reply, World, target

A, B, C = (target(f"{name}.com") for name in "abc")
RULE = rule(to("a.com", fallback="b.com"))
RESCUED = rule(to("a.com", fallback="b.com"), rescue=policy(chain=("c.com",)))


def ejects(
    *targets: Target, endpoint: Endpoint | None = None, until: float = math.inf
) -> Callable[[World], None]:
    """Does so before the requests."""

    def before(world: World) -> None:
        for each in targets:
            world.health.eject(each, endpoint, each.endpoints, now=0.0, until=until)

    return before


def pins(world: World) -> None:
    """Pins a.com to c.com, which is out of rotation."""
    world.overrides.pins["a.com"] = C.key
    world.health.eject(C, None, C.endpoints, now=0.0, until=math.inf)


def told(story: Story) -> tuple[str, str | None, str | None]:
    """Target, instead of which, and the override."""
    event = story.events[-1]
    return event.target, event.instead_of, event.override


@pytest.mark.parametrize("routes", [RULE, RESCUED], ids=["mesh", "rescued"])
def test_the_fallback_acts_for_a_target_that_is_ejected_by_hand(routes: Route) -> None:
    """As for one that outlier detection has ejected."""
    story = play((A, B, C), (routes,), Reply(204), before=ejects(A))

    assert (story.statuses, story.places) == ([204], ["b.com"])


def test_nobody_left() -> None:
    """The client is told when to come back, if anybody will."""
    until = play((A, B, C), (RESCUED,), before=ejects(A, B, C, until=7.0))
    for_ever = play((A, B, C), (RESCUED,), before=ejects(A, B, C))

    assert (until.statuses, until.header("retry-after")) == ([503], "7")
    assert (for_ever.statuses, for_ever.header("retry-after")) == ([503], None)
    assert until.places == for_ever.places == []


def test_panic_does_not_bring_it_back() -> None:
    """Only what a detector has ejected, which may be wrong about it."""
    pair = target("a.com", "10.0.0.1", "10.0.0.2", panic_threshold=60)
    one = ejects(pair, endpoint=pair.endpoints[0])
    story = play((pair,), (rule(to("a.com")),), 200, 200, requests=(POST, POST), before=one)
    none = play((pair,), (rule(to("a.com")),), before=ejects(pair))

    assert [sent.endpoint for sent in story.world.sent] == [pair.endpoints[1]] * 2
    assert (none.statuses, none.places, none.flags) == ([503], [], {"UH"})


@pytest.mark.parametrize("routes", [RULE, RESCUED], ids=["mesh", "rescued"])
def test_a_pin_is_where_requests_go(routes: Route) -> None:
    """Whatever rule, policy and health say; its failure is what the client gets."""
    story = play((A, B, C), (routes,), 500, before=pins)

    assert (story.statuses, story.places) == ([500], ["c.com"])
    assert told(story) == ("c.com:80", None, "pinned to c.com:80")
    assert story.events[-1].rescue is None


def test_a_pin_keeps_the_rules_retries_and_limits() -> None:
    """They are not about where requests go."""
    ours = rule(to("a.com"), retries=retries(1, "reset"), timeout_s=5.0)
    story = play((A, C), (ours,), Failure.RESET, Reply(after_s=9.0), before=pins)

    assert (story.statuses, story.places) == ([504], ["c.com", "c.com"])


@pytest.mark.parametrize("destination", ["a.com", "c.com"])
def test_a_rules_credential_is_for_its_own_destination(destination: str) -> None:
    """As under a policy: a person's pin leads elsewhere, and the key was written for where the rule leads."""
    written = HeaderOperations(set=(("x-api-key", "of-the-rule"), ("x-team", "blue")))
    ours = rule(to(destination), headers=Operations(written))
    asked = replace(POST, headers=(*POST.headers, ("idempotency-key", "i")))

    (sent,) = play((A, C), (ours,), 200, requests=(asked,), before=pins).world.sent

    is_its_own = destination == "c.com"
    assert sent.host == "c.com"
    assert sent.header("x-api-key") == ("of-the-rule" if is_its_own else None)
    assert sent.header("idempotency-key") == ("i" if is_its_own else None)
    assert sent.header("x-team") == "blue"


def test_another_hosts_cookies_stay_out() -> None:
    """They would become those of the client's host."""
    cookie = Reply(200, (("set-cookie", "a=b"), ("x-a", "b")))
    story = play((A, C), (RULE,), cookie, before=pins)

    assert (story.header("x-a"), story.header("set-cookie")) == ("b", None)


def test_a_pin_to_what_is_gone() -> None:
    """Requests go nowhere: a person wanted them nowhere else."""
    story = play((A, B), (RULE,), before=pins)

    assert (story.statuses, story.flags, story.places) == ([503], {"NC"}, [])
    assert told(story) == ("nowhere", None, "pinned to c.com:80")


def test_other_hosts_are_not_pinned() -> None:
    """Only the one that was named."""

    def before(world: World) -> None:
        world.overrides.pins["b.com"] = C.key

    assert play((A, B, C), (RULE,), 200, before=before).places == ["a.com"]


def test_a_request_without_a_rule_has_nowhere_to_go() -> None:
    """A pin takes the place of a rule's destinations, and there is none."""
    assert play((A, C), (), before=pins).statuses == [404]


def test_replaced_names() -> None:
    """The pin is by the client's host, in any case, with or without the dot."""
    asked = replace(POST, host="A.com.")
    assert play((A, B, C), (RULE,), 200, requests=(asked,), before=pins).places == ["c.com"]
