"""What is explained is what the proxy does: the same requests through both, its client scripted."""

import asyncio
from collections.abc import Callable
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import Link
from llm_fallback.config.routes import (
    Action,
    Cors,
    DirectResponse,
    Fault,
    HeaderOperations,
    Headers,
    Match,
    MatchType,
    Redirect,
    Rewrite,
    Route,
    RouteDestination,
    StringMatch,
    VirtualHost,
)
from llm_fallback.config.snapshot import Provider, ProviderConfig, Service, Snapshot, Target, TargetKey
from llm_fallback.explanation import Explanation, explain, redacted
from llm_fallback.explanation.model import Destination as Told
from llm_fallback.messages import OriginalRequest
from llm_fallback.outlier import Endpoint, Outcome
from llm_fallback.redaction import redact_query
from llm_fallback.resources.llmfallbackpolicy import AllEjected
from llm_fallback.upstream.answers import Head
from llm_fallback.upstream.exchange import Exchange
from llm_fallback.upstream.shared import Shared
from tests.support.policies import compiled
from tests.upstream import virtual_time
from tests.upstream.world import EJECTS, Lowest, Reply, World, target

CONFIG = ProviderConfig("qwen", stream=False, api_key=SecretStr("provider-key"))
TARGETS = (
    target("a.com", "a1", "a2", outlier=EJECTS, provider=Provider("a", "/v1/chat/completions")),
    target("b.com", "b1", outlier=EJECTS, provider=Provider("b", "/b/chat/completions", CONFIG)),
    target("c.com", "c1", outlier=EJECTS),
)
type Placed = tuple[Target, Endpoint]
ENDPOINTS = [(each, endpoint) for each in TARGETS for endpoint in each.endpoints]
EJECTED: list[set[Placed]] = [
    set(),
    set(ENDPOINTS[:1]),
    set(ENDPOINTS[:2]),
    set(ENDPOINTS[:2]),
    set(ENDPOINTS[:3]),
    set(ENDPOINTS),
]
SERVICES = {each.host: Service(each.host, {(80, None): each}) for each in TARGETS}

places = st.sampled_from(["a.com", "a.com", "b.com", "c.com", "gone.com"]).map(Destination)
operations = st.sampled_from(
    [
        HeaderOperations(),
        HeaderOperations(set=(("x-a", "rule"),), remove=("x-b",)),
        HeaderOperations(add=(("Authorization", "Bearer rule"), ("x-token", "rule"), ("host", "rule.com"))),
    ]
)
headers = st.builds(Headers, operations)
destinations = st.lists(
    st.builds(
        RouteDestination,
        places,
        st.integers(1, 3),
        st.none() | places,
        headers,
        st.none() | st.just("d.com"),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
actions = st.one_of(
    destinations,
    destinations,
    destinations,
    st.just(DirectResponse(418, b"tea")),
    st.builds(Redirect, uri=st.none() | st.just("/new")),
)
strings = st.builds(
    StringMatch,
    st.sampled_from([MatchType.EXACT, MatchType.PREFIX, MatchType.PRESENT]),
    st.sampled_from(["/", "/v1", "POST", "1"]),
)
matches = st.lists(
    st.builds(
        Match,
        uri=st.none() | strings,
        method=st.none() | strings,
        headers=st.dictionaries(st.just("x-a"), strings),
    ),
    max_size=2,
).map(tuple)
faults = st.sampled_from([None, None, Fault(50, 1, 50, 503)]) | st.builds(
    Fault, st.sampled_from([0, 50, 100]), st.just(1), st.sampled_from([0, 50, 100]), st.just(503)
)
policies = st.builds(
    compiled,
    source=st.just("f:9 LLMFallbackPolicy/p"),
    chain=st.lists(st.builds(Link, places), max_size=2).map(tuple),
    deadline_s=st.sampled_from([2.0, 600.0]),
    all_ejected=st.sampled_from(AllEjected),
    max_request_bytes=st.sampled_from([10, 100]),
)
origins = (StringMatch(MatchType.EXACT, "https://page.com"),)
corses = st.none() | st.builds(Cors, st.just(origins), forward_unmatched_preflights=st.booleans())


def _route(action: Action, **more: object) -> Route:
    is_weighted = isinstance(action, tuple) and len(action) > 1
    return Route("r", "f:1 VirtualService/vs", action, is_weighted=is_weighted, **more)  # type: ignore[arg-type]


routes = st.builds(
    _route,
    actions,
    matches=st.just(()) | matches,
    headers=headers,
    rewrite=st.none() | st.builds(Rewrite, st.just("/new"), authority=st.none() | st.just("w.com")),
    timeout_s=st.none() | st.just(5.0),
    fault=faults,
    cors=corses,
    rescue=st.none() | st.none() | policies,
)
fields = st.lists(
    st.sampled_from(
        [
            ("x-a", "1"),
            ("x-b", "1"),
            ("Authorization", "Bearer client-key"),
            ("Referer", "http://a.com/?token=client-key"),
            ("Origin", "https://page.com"),
            ("Access-Control-Request-Method", "POST"),
            ("Host", "a.com:8080"),
        ]
    ),
    max_size=4,
    unique=True,
).map(tuple)
PREFLIGHT = (("Origin", "https://page.com"), ("Access-Control-Request-Method", "POST"))
requests = st.builds(
    OriginalRequest,
    st.sampled_from(["POST", "OPTIONS", "OPTIONS", "BAD METHOD"]),
    st.just("a.com"),
    st.just(80),
    st.sampled_from(["/", "/v1/chat/completions?key=client-key&a=1", "/v1/models"]),
    fields | st.just(PREFLIGHT),
    st.sampled_from([b"", b'{"stream": true}', b'{"api_key": "client-key"}', b"\xff"]),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(routes, min_size=1, max_size=3),
    requests,
    st.sampled_from(EJECTED),
    st.lists(st.floats(0, 0.99), min_size=3, max_size=3),
    st.sampled_from([None, None, ("b.com", 80, None), ("gone.com", 80, None)]),
)
def test_what_is_explained_is_what_happens(
    rules: list[Route],
    request: OriginalRequest,
    ejected: set[Placed],
    draws: list[float],
    pinned: TargetKey | None,
) -> None:
    _assert_explained(rules, request, ejected, draws, pinned)


@settings(max_examples=200, deadline=None)
@given(
    st.builds(_route, destinations, headers=headers),
    requests,
    st.lists(st.floats(0, 0.99), min_size=3, max_size=3),
    st.sampled_from(["b.com", "c.com"]),
)
def test_a_pin_is_explained_as_it_acts(
    rule: Route, request: OriginalRequest, draws: list[float], host: str
) -> None:
    """To a provider, and to a host that is none: what the rule writes for its own goes to neither."""
    _assert_explained([rule], request, set(), draws, (host, 80, None))


def _assert_explained(
    rules: list[Route],
    request: OriginalRequest,
    ejected: set[Placed],
    draws: list[float],
    pinned: TargetKey | None,
) -> None:
    snapshot = Snapshot(SERVICES, {"a.com": VirtualHost("VirtualService/vs", tuple(rules))})

    explanation = explain(snapshot, request, is_ejected=lambda *endpoint: endpoint in ejected, pinned=pinned)
    world, head = _through_the_proxy(snapshot, request, ejected, draws, pinned)

    assert "-key" not in repr(explanation)
    if "FI" in world.handled_events[0].flags:
        assert explanation.fault
        assert explanation.fault.abort_percent
        assert explanation.fault.abort_percent < 100 or explanation.answer
        return
    if explanation.answer:
        assert (head.status, world.sent) == (explanation.answer.status, [])
        return
    destination = _chosen(explanation, rules, draws)
    if destination.answer:
        assert (head.status, world.sent) == (destination.answer.status, [])
    elif destination.sent:
        _assert_sent(destination, world)
    else:
        assert explanation.rescue  # has asked whoever comes back first
        assert len(world.sent) == 1


def _through_the_proxy(
    snapshot: Snapshot,
    request: OriginalRequest,
    ejected: set[Placed],
    draws: list[float],
    pinned: TargetKey | None,
) -> tuple[World, Head]:
    async def main(clock: Callable[[], float]) -> tuple[World, Head]:
        world = World(clock, TARGETS, None)
        world.rng = Lowest(*draws)
        if pinned:
            world.overrides.pins["a.com"] = pinned
        for place, endpoint in ENDPOINTS:
            world.scripted.by_host[place.host] = Reply(200)
            if (place, endpoint) in ejected:
                world.health.record(
                    place, endpoint, Outcome(500), total=len(place.endpoints), now=clock() + 100
                )
        exchange = Exchange(cast(Shared, world), snapshot, request, world)
        (head, *_) = await exchange.pieces()
        assert isinstance(head, Head)
        await asyncio.sleep(0)
        exchange.close()
        return world, head

    return virtual_time.run(main)


def _chosen(explanation: Explanation, rules: list[Route], draws: list[float]) -> Told:
    """The destination that the proxy's first draw gives."""
    assert explanation.rule
    action = rules[explanation.rule.number - 1].action
    assert isinstance(action, tuple)
    if len(action) == 1:
        return explanation.destinations[0]
    return Lowest(*draws).choices(explanation.destinations, [each.weight for each in action])[0]


def _assert_sent(destination: Told, world: World) -> None:
    """One attempt, at the place and with the content that the explanation names."""
    (attempt,) = world.sent
    told, place, outgoing = destination.sent, destination.place, attempt.outgoing
    assert told
    assert place
    assert place.host == attempt.host
    assert str(attempt.endpoint) in told.endpoints
    path, shown = outgoing.shown()
    shown = redacted.headers(shown)
    assert (told.method, told.headers) == (outgoing.method, shown)
    assert told.url == f"http://{dict(shown)['Host']}{redact_query(path)}"
    assert told.body.bytes == len(outgoing.body)
