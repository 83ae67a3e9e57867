"""How an explanation reads: the story's clauses, one kind of setting after another."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import Budget, Hedging, Limits, Link, RescuePolicy
from llm_fallback.config.routes import (
    Action,
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
    VirtualHost,
)
from llm_fallback.config.snapshot import (
    Algorithm,
    ConnectionPool,
    HashPolicy,
    HashSource,
    LoadBalancing,
    Provider,
    ProviderConfig,
    Service,
    Snapshot,
    Target,
    Tls,
    Warmup,
)
from llm_fallback.explanation import Explanation, as_data, as_text, explain
from llm_fallback.messages import OriginalRequest
from llm_fallback.outlier import Endpoint, OutlierPolicy
from llm_fallback.resources.llmfallbackpolicy import AllEjected, Hold
from tests.support.policies import compiled

A, B, C = (RouteDestination(Destination(f"{name}.com")) for name in "abc")
POLICY = compiled(
    source="f:9 LLMFallbackPolicy/p",
    failures=frozenset({"5xx"}),
    codes=frozenset({429}),
    chain=(Link(C.destination),),
)
EVERYTHING = compiled(
    source="f:9 LLMFallbackPolicy/p",
    failures=frozenset({"5xx"}),
    codes=frozenset(),
    attempts=1,
    deadline_s=60,
    backoff_s=0.5,
    unless_slower_than_s=3,
    chain=(Link(C.destination, 1),),
    limits=Limits(20, 10, 5),
    max_retry_after_s=0,
    probation=True,
    slow_start_s=30,
    hold=Hold.WHOLE_ANSWER,
    hedging=Hedging(2),
    budget=Budget(20, 1),
)
CONFIG = ProviderConfig(api_key=SecretStr("s3cret"))
SPLIT = HashPolicy(HashSource.HEADER, "x-user")


def told(
    action: Action = (A,), *, ejected: str = "", first: dict[str, object] | None = None, **more: object
) -> Explanation:
    """By one rule, with `first` as settings of a.com, and all of the named hosts ejected."""
    targets = [Target(host, 80, (Endpoint(host, 80),)) for host in ("a.com", "b.com", "c.com")]
    targets[0] = replace(targets[0], **(first or {}))  # type: ignore[arg-type]
    services = {target.host: Service(target.host, {(80, None): target}) for target in targets}
    route = Route("all", "f:1 VirtualService/vs", action, **more)  # type: ignore[arg-type]
    snapshot = Snapshot(services, {"a.com": VirtualHost("VirtualService/vs", (route,))})
    request = OriginalRequest("POST", "a.com", 80, "/", (("Origin", "https://page.com"),), b"")
    return explain(snapshot, request, is_ejected=lambda target, _: target.host in ejected.split())


@pytest.mark.parametrize(
    ("explanation", "expected"),
    [
        pytest.param(told(), "rule     all  f:1 VirtualService/vs  (the only one; it takes every", id="rule"),
        pytest.param(
            told(matches=(Match(method=StringMatch(MatchType.EXACT, "GET"), source="f:2"),)),
            "rule     none of the 1 rule of VirtualService/vs matches",
            id="no-rule",
        ),
        pytest.param(
            told(matches=(Match(source="f:2"),)), "(the only one; the match at f:2 holds)", id="match"
        ),
        pytest.param(
            told(Redirect(308, uri="/b")), "answers  308: the rule says so; nothing is sent", id="redirect"
        ),
        pytest.param(told(Redirect(uri="/b")), "location: http://a.com/b", id="location"),
        pytest.param(told(DirectResponse(404, b"gone\n")), "answers  404 gone", id="direct-response"),
        pytest.param(
            told(fault=Fault(0.5, 1.5, 10, 503)),
            "faults   0.5 % of the requests wait 1.5 s first; 10 % are answered with 503 instead of being",
            id="faults",
        ),
        pytest.param(told(fault=Fault()), "faults   none: their percentages are 0", id="no-faults"),
        pytest.param(told((A, B)), "target   50 % of the requests: a.com:80, 1 endpoint", id="share"),
        pytest.param(told(ejected="a.com"), "target   a.com:80, 1 endpoint, ejected", id="ejected"),
        pytest.param(told(first={"endpoints": ()}), "target   a.com:80, no endpoints", id="no-endpoints"),
        pytest.param(
            told(first={"per_address": True}),
            "1 name, each address of which is an endpoint, in rotation",
            id="resolved",
        ),
        pytest.param(told(), "sends    POST http://a.com/\n         to a.com:80 in plain text", id="plain"),
        pytest.param(
            told(first={"tls": Tls("s", ("n", "m"), "ca.pem", certificate_file="c.pem")}),
            "over TLS (SNI s, certificate for n or m, authorities of ca.pem, client certificate c.pem)",
            id="tls",
        ),
        pytest.param(
            told(first={"tls": Tls("s", ("a.com",), verify=False)}), "(SNI s, certificate not", id="no-verify"
        ),
        pytest.param(
            told(first={"pool": ConnectionPool(0.5, 60.0, 5, 6, 7, 8, 9, 90.0)}),
            "connects within 500 ms; idle connections stay 60 s; connections live 90 s; at most 5",
            id="pool",
        ),
        pytest.param(
            told(first={"pool": ConnectionPool(idle_timeout_s=None)}), "stay for ever; no limit", id="idle"
        ),
        pytest.param(
            told(
                first={
                    "endpoints": (Endpoint("a", 1), Endpoint("b", 2)),
                    "balancing": LoadBalancing(Algorithm.RING_HASH, SPLIT, warmup=Warmup(10)),
                }
            ),
            "balances RING_HASH, by the header x-user; at random without it, new endpoints warm up for 10 s",
            id="balancing",
        ),
        pytest.param(told(), "ejects   never: there is no outlierDetection", id="no-detector"),
        pytest.param(
            told(first={"outlier": OutlierPolicy(0)}), "ejects   never: all thresholds are 0", id="off"
        ),
        pytest.param(
            told(first={"outlier": OutlierPolicy(5, 2, split_local_origin=True)}),
            "after 5 consecutive 5xx or 2 consecutive gateway errors (502, 503, 504) or 5 consecutive local",
            id="thresholds",
        ),
        pytest.param(
            told(first={"outlier": OutlierPolicy(error_codes=frozenset({429, 500})), "panic_threshold": 50}),
            "failures are 429, 500; ignored with less than 50 % in rotation",
            id="codes-and-panic",
        ),
        pytest.param(told(timeout_s=0.25), "limits   250 ms for all attempts together; 2 retries", id="time"),
        pytest.param(
            told(retries=Retries(1, frozenset({"reset"}), frozenset({503}), 2.0)),
            "1 retry on reset, 503, 2 s for each attempt",
            id="retries",
        ),
        pytest.param(
            told(retries=Retries(3, frozenset({"5xx"}), backoff_s=1.0, avoid_tried=False)),
            "3 retries on 5xx, back-off from 1 s, also at endpoints that have been tried",
            id="more-of-retries",
        ),
        pytest.param(
            told(retries=Retries(0, frozenset())), "no timeout; no retries: the rule wants none", id="none"
        ),
        pytest.param(
            told(mirrors=(Mirror(B.destination, 12.5),)),
            "mirrors  copies of 12.5 % of the requests go to b.com:80",
            id="mirror",
        ),
        pytest.param(
            told(mirrors=(Mirror(Destination("x.com")),)), "x.com, which does not exist: none", id="no-mirror"
        ),
        pytest.param(
            told(
                headers=Headers(
                    response=HeaderOperations((("x-a", "1"),), (("x-b", "2"),), ("server", "via"))
                )
            ),
            "\n         on answers it removes server, via, sets x-a: 1, adds x-b: 2\ntarget ",
            id="headers",
        ),
        pytest.param(
            told((replace(A, headers=Headers(HeaderOperations((("x-a", "1"),)))),)),
            "in rotation\n         on requests it sets x-a: 1\nsends ",
            id="headers-of-a-destination",
        ),
        pytest.param(
            told(first={"sources": ("f:1 LLMProvider/p", "f:9 DestinationRule/r")}),
            "in rotation\n         f:1 LLMProvider/p\n         f:9 DestinationRule/r\nsends ",
            id="resources",
        ),
        pytest.param(
            told(first={"provider": Provider("p", default=CONFIG)}, llm_rule="x"),
            "no body\n         defaultConfig sets the key\n",
            id="key",
        ),
        pytest.param(
            told(first={"provider": Provider("p", by_rule={"x": ProviderConfig()})}, llm_rule="x"),
            "routeSpecificConfigs.x sets nothing",
            id="configuration-of-a-rule",
        ),
        pytest.param(told(cors=Cors()), "cors     the answer is not opened to the request's", id="cors-not"),
        pytest.param(
            told(cors=Cors((StringMatch(MatchType.PREFIX, "https://"),))),
            "cors     the origin may read the answer\n         access-control-allow-origin: https://page.com",
            id="cors",
        ),
        pytest.param(
            told(rescue=POLICY),
            "2 retries on cancelled, connect-failure, refused-stream, unavailable, at other endpoints of the",
            id="retries-under-a-policy",
        ),
        pytest.param(
            told(rescue=replace(POLICY, max_request_bytes=-1)),
            "rescues  never: the body is larger than the -1 bytes of f:9 LLMFallbackPolicy/p",
            id="no-rescue",
        ),
        pytest.param(
            told(rescue=POLICY, ejected="a.com"),
            "chain    c.com:80, 1 endpoint, in rotation\nsends    POST http://a.com/\n         to c.com:80",
            id="chain",
        ),
        pytest.param(
            told(rescue=POLICY, ejected="a.com c.com"),
            "sends    to whoever comes back first: all are ejected",
            id="soonest",
        ),
        pytest.param(
            told(rescue=replace(POLICY, all_ejected=AllEjected.FAIL), ejected="a.com c.com"),
            "answers  503 no healthy upstream [UH]",
            id="fail",
        ),
        pytest.param(
            told((replace(A, fallback=B.destination),), rescue=POLICY),
            "asked when a.com:80 has failed or has no healthy endpoint",
            id="rescuing-fallback",
        ),
    ],
)
def test_clauses(explanation: Explanation, expected: str) -> None:
    assert expected in as_text(explanation, width=200)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(
            POLICY,
            """\
rescues  p  f:9 LLMFallbackPolicy/p
         from 5xx, 429, within 4 attempts and 600 s in all
         in order: target, fallback, chain
         an attempt has 300 s to its headers, 180 s to its first token, 120 s between two of them
         answers are held until their first content; Retry-After counts up to 300 s; rescues at
           once: 100 % of the active requests, at least 10""",
            id="defaults",
        ),
        pytest.param(
            EVERYTHING,
            """\
rescues  p  f:9 LLMFallbackPolicy/p
         from 5xx, within 1 attempt and 60 s in all
         in order: target, fallback, chain, neighbours with weights in an order that is drawn
         an attempt has 20 s to its headers, 10 s to its first token, 5 s between two of them
         answers are held whole; 500 ms between targets; not from failures that took more than 3 s;
           the next target is also asked after 2 s; endpoints return on probation; slow start for 30
           s; rescues at once: 20 % of the active requests, at least 1""",
            id="everything",
        ),
    ],
)
def test_a_policy(policy: RescuePolicy, expected: str) -> None:
    assert as_text(told(rescue=policy)).endswith(f"\n{expected}")


def test_a_large_request_is_not_rescued() -> None:
    assert told(rescue=replace(POLICY, max_request_bytes=-1)).rescue is None


@pytest.mark.parametrize("width", [60, 100])
def test_width(width: int) -> None:
    """Lines go on under their label; what cannot be broken stays whole."""
    lines = as_text(told(first={"outlier": OutlierPolicy()}), width=width).splitlines()

    assert max(map(len, lines)) <= width
    assert any(line.startswith(" " * 11) for line in lines)


def test_many_rejected_rules() -> None:
    """Ten are named."""
    explanation = told()
    match = Match(method=StringMatch(MatchType.EXACT, "GET"), source="f:2")
    routes = tuple(Route(f"r{n}", "f:1", (A,), matches=(match,)) for n in range(13))
    snapshot = Snapshot({}, {"a.com": VirtualHost("VirtualService/vs", routes)})

    request = OriginalRequest("POST", "a.com", 80, "/", (), b"")
    explanation = explain(snapshot, request, is_ejected=lambda *_: False)

    text = as_text(explanation)
    assert text.count("does not equal 'GET'") == 10
    assert "nor 3 more" in text
    assert len(as_data(explanation)["rejected"]) == 13


def test_data_is_plain() -> None:
    """Sets become sorted lists, words of enumerations strings, and numbers stay numbers."""
    data = as_data(told(rescue=POLICY, retries=Retries(1, frozenset("ba"), frozenset({503}), 2.0)))

    assert data["retries"] == {
        "attempts": 1,
        "retry_on": ["a", "b"],
        "codes": [503],
        "per_try_timeout_s": 2.0,
        "backoff_s": 0.025,
        "avoid_tried": True,
    }
    assert data["rescue"]["all_ejected"] == "TrySoonest"
    assert type(data["destinations"][0]["uses"]) is str
