"""Faults, copies and consistent hashing: what happens to requests on their way to a destination."""

from dataclasses import replace

import pytest

from llm_fallback.balancing import hash_key
from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import (
    Cors,
    Fault,
    HeaderOperations,
    Headers,
    MatchType,
    Mirror,
    Retries,
    Route,
    StringMatch,
)
from llm_fallback.config.snapshot import Algorithm, HashPolicy, HashSource, LoadBalancing, Provider
from llm_fallback.messages import OriginalRequest
from llm_fallback.retry import Failure
from tests.upstream.exchanging import POST, play, request, rule, to
from tests.upstream.world import EJECTS, SILENCE, Lowest, Reply, target

A = target("a.com", outlier=EJECTS)
B = target("b.com")
ABORT = Fault(abort_percent=50.0, abort_status=503)
DELAY = Fault(delay_percent=50.0, delay_s=2.0)
HIT, MISS = 0.25, 0.75


def test_an_abort() -> None:
    """Answered before any attempt, with flag FI; no retry, and nobody is charged."""
    route = rule(to("a.com"), fault=ABORT, retries=Retries(2, frozenset({"5xx"})))

    story = play((A,), (route,), 200, requests=(POST, POST), rng=Lowest(HIT, MISS))

    assert (story.statuses, story.bodies[0]) == ([503, 200], b"fault filter abort")
    assert [event.flags for event in story.events] == [("FI",), ()]
    assert (len(story.world.sent), story.world.health_changes) == (1, [])


def test_an_abort_is_changed_by_the_rule() -> None:
    """As any other answer."""
    headers = Headers(response=HeaderOperations(set=(("x-rule", "1"),)))

    story = play((A,), (rule(to("a.com"), fault=ABORT, headers=headers),), rng=Lowest(HIT))

    assert story.header("x-rule") == "1"


def test_a_delay() -> None:
    """Flag DI; it is over before the route's timeout begins."""
    route = rule(to("a.com"), fault=DELAY, timeout_s=1.0)

    story = play((A,), (route,), Reply(200, after_s=0.5), 200, requests=(POST, POST), rng=Lowest(HIT, MISS))

    assert story.statuses == [200, 200]
    assert [sent.at for sent in story.world.sent] == [2.0, 2.5]
    assert [event.flags for event in story.events] == [("DI",), ()]


def test_a_delay_and_an_abort() -> None:
    """Two draws; the abort comes after the delay."""
    fault = replace(DELAY, abort_percent=50.0, abort_status=418)

    story = play((A,), (rule(to("a.com"), fault=fault),), rng=Lowest(HIT, HIT))

    assert (story.statuses, story.flags) == ([418], {"DI", "FI"})
    assert story.events[0].duration_s == pytest.approx(2.0, abs=0.001)


def test_a_delayed_request_keeps_its_flag() -> None:
    """Whatever comes of it."""
    story = play((A,), (rule(to("a.com"), fault=DELAY, timeout_s=1.0),), SILENCE, rng=Lowest(HIT))

    assert (story.statuses, story.flags) == ([504], {"DI", "UT"})


def test_an_abort_comes_before_the_search_for_a_destination() -> None:
    """An unknown one is not noticed."""
    story = play((A,), (rule(to("x.com"), fault=ABORT),), rng=Lowest(HIT))

    assert (story.statuses, story.flags) == ([503], {"FI"})


def test_what_nobody_healthy_could_take_is_not_copied() -> None:
    """Envoy looks for an endpoint first, and copies what it sends (measured)."""
    route = rule(to("a.com"), mirrors=(Mirror(Destination("b.com")),))

    story = play((A, B), (route,), 500, requests=(POST, POST))

    assert (story.statuses, len(story.world.copies)) == ([500, 503], 1)


@pytest.mark.parametrize(
    ("percent", "draw", "is_copied"),
    [
        pytest.param(100.0, 0.999, True, id="all"),
        pytest.param(50.0, 0.49, True, id="within-the-share"),
        pytest.param(50.0, 0.51, False, id="outside-of-it"),
    ],
)
def test_the_share_of_copies(percent: float, draw: float, *, is_copied: bool) -> None:
    """Drawn for each request."""
    route = rule(to("a.com"), mirrors=(Mirror(Destination("b.com"), percent),))

    story = play((A, B), (route,), 200, rng=Lowest(draw))

    assert [to_.host for to_, _, _ in story.world.copies] == (["b.com"] if is_copied else [])


def test_a_copy() -> None:
    """One for each mirror, as the rule rewrites the request, and with its timeout; retries make no more."""
    mirrors = (Mirror(Destination("b.com")), Mirror(Destination("c.com")))
    headers = Headers(request=HeaderOperations(set=(("x-rule", "1"),)))
    policy = Retries(1, frozenset({"5xx"}))
    route = rule(to("c.com"), mirrors=mirrors, headers=headers, timeout_s=5.0, retries=policy)

    story = play((B, target("c.com")), (route,), 500, 200)

    assert [(copy.host, timeout_s) for copy, _, timeout_s in story.world.copies] == [
        ("b.com", 5.0),
        ("c.com", 5.0),
    ]
    assert all(("x-rule", "1") in outgoing.headers for _, outgoing, _ in story.world.copies)
    assert story.places == ["c.com", "c.com"]


def test_a_mirror_that_does_not_exist() -> None:
    """The request itself knows nothing of it."""
    story = play((A,), (rule(to("a.com"), mirrors=(Mirror(Destination("x.com")),)),), 200)

    assert (story.statuses, story.world.copies) == ([200], [])


def test_a_copy_for_a_provider() -> None:
    """The client's credential stays at home; the provider gets its own path."""
    provider = replace(B, provider=Provider("b", "/v1/chat/completions"))
    route = rule(to("a.com"), mirrors=(Mirror(Destination("b.com")),))

    story = play((A, provider), (route,), 200, requests=(request(path="/", Authorization="Bearer mine"),))

    [(_, copy, _)] = story.world.copies
    assert (copy.path, dict(copy.headers)["Host"]) == ("/v1/chat/completions", "b.com")
    assert "Authorization" not in dict(copy.headers)
    assert story.world.sent[0].header("authorization") == "Bearer mine"


@pytest.mark.parametrize(
    "answered",
    [
        pytest.param(rule(to("a.com"), mirrors=(Mirror(Destination("b.com")),), fault=ABORT), id="abort"),
        pytest.param(rule(to("x.com"), mirrors=(Mirror(Destination("b.com")),)), id="unknown-destination"),
    ],
)
def test_what_is_not_sent_is_not_copied(answered: Route) -> None:
    """Neither are requests that a fault ends, nor those without a destination."""
    story = play((A, B), (answered,), rng=Lowest(HIT))

    assert story.world.copies == []


def hashing(policy: HashPolicy) -> LoadBalancing:
    return LoadBalancing(Algorithm.RING_HASH, policy)


HEADER = HashPolicy(HashSource.HEADER, "x-user")
PARAMETER = HashPolicy(HashSource.QUERY_PARAMETER, "user")
COOKIE = HashPolicy(HashSource.COOKIE, "user", cookie_path="/", cookie_ttl_s=60.0)
SOURCE_IP = HashPolicy(HashSource.SOURCE_IP)


@pytest.mark.parametrize(
    ("policy", "sent", "given"),
    [
        pytest.param(HEADER, request(X_User="me"), {"headers": (("x-user", "me"),)}, id="header"),
        pytest.param(
            PARAMETER, request(path="/chat?a=b&user=me"), {"query": "user=me"}, id="query-parameter"
        ),
        pytest.param(
            COOKIE, request(Cookie="a=b; user=me"), {"headers": (("cookie", "user=me"),)}, id="cookie"
        ),
        pytest.param(SOURCE_IP, POST, {"source_ip": "10.1.1.1"}, id="source-ip"),
    ],
)
def test_hash_keys(policy: HashPolicy, sent: OriginalRequest, given: dict[str, object]) -> None:
    """What the policy names of the client's request decides, for each of its attempts."""
    place = target("a.com", "10.0.0.1", "10.0.0.2", balancing=hashing(policy))
    route = rule(to("a.com"), retries=Retries(1, frozenset({"5xx"}), avoid_tried=False))

    story = play((place,), (route,), 503, 200, requests=(sent,))

    expected = hash_key(policy, **({"headers": (), "query": "", "source_ip": None} | given))  # type: ignore[arg-type]
    assert expected is not None
    assert story.world.hash_keys == [expected, expected]
    assert story.header("set-cookie") is None


@pytest.mark.parametrize("policy", [HEADER, PARAMETER, replace(COOKIE, cookie_ttl_s=None)])
def test_nothing_to_hash(policy: HashPolicy) -> None:
    """The balancer is left to its own devices."""
    place = target("a.com", "10.0.0.1", "10.0.0.2", balancing=hashing(policy))

    story = play((place,), (rule(to("a.com")),), 200)

    assert (story.world.hash_keys, story.header("set-cookie")) == ([None], None)


@pytest.mark.parametrize("reply", [200, Failure.RESET])
def test_a_cookie_is_made(reply: int | Failure) -> None:
    """Its hash counts at once, and whoever answers, the client is told of it, to come back with it."""
    place = target("a.com", "10.0.0.1", "10.0.0.2", balancing=hashing(COOKIE))

    story = play((place,), (rule(to("a.com")),), reply)

    cookie = story.header("set-cookie")
    assert cookie is not None
    assert cookie.endswith("; Max-Age=60; Path=/; HttpOnly")
    pair = cookie.partition(";")[0]
    again = play((place,), (rule(to("a.com")),), 200, requests=(request(Cookie=pair),))
    assert story.world.hash_keys == again.world.hash_keys != [None]
    assert again.header("set-cookie") is None


def test_the_fallbacks_own_policy_counts() -> None:
    """Hashing belongs to the target that was chosen."""
    place = target("b.com", "10.0.0.1", "10.0.0.2", balancing=hashing(SOURCE_IP))
    route = rule(to("a.com", fallback="b.com"))

    story = play((A, place), (route,), 500, 200, requests=(POST, POST))

    assert story.places == ["a.com", "b.com"]
    assert story.world.hash_keys == [hash_key(SOURCE_IP, headers=(), query="", source_ip="10.1.1.1")]


def test_cors_does_not_see_aborted_requests() -> None:
    """Istio's chain has the filter for faults first."""
    route = rule(to("a.com"), fault=ABORT, cors=Cors((StringMatch(MatchType.PREFIX, "https:"),)))
    asked = request(Origin="https://x")

    story = play((A,), (route,), 200, requests=(asked, asked), rng=Lowest(MISS, HIT))

    assert "access-control-allow-origin" in dict(story.heads[0].headers)

    assert story.header("access-control-allow-origin") is None
