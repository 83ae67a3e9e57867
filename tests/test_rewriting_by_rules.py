"""What an attempt sends under a rule of a VirtualService or LLMRoute."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import (
    DirectResponse,
    HeaderOperations,
    Match,
    MatchType,
    Rewrite,
    Route,
    RouteDestination,
    StringMatch,
)
from llm_fallback.config.routes import Headers as Operations
from llm_fallback.config.snapshot import Provider, ProviderConfig, Target
from llm_fallback.headers import Headers
from llm_fallback.messages import OriginalRequest, Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.resources.base import Expanded
from llm_fallback.rewriting import NO_PLAN, Plan, rewrite

CHAT = "/compatible-mode/v1/chat/completions"
KEYED = ProviderConfig("qwen-72b", api_key=SecretStr("qwen-key"))
QWEN = Provider("qwen", CHAT, KEYED, {"vip": ProviderConfig("qwen-max", stream=True)})
BARE = Provider("bare", CHAT)


def target_of(provider: Provider | None, host: str = "b.com") -> Target:
    return Target(host, 80, (Endpoint(host, 443),), provider=provider)


def request(path: str = "/", *headers: tuple[str, str], host: str = "a.com") -> OriginalRequest:
    return OriginalRequest("POST", host, 80, path, (("Host", host), *headers), b'{"a": 1}')


def setting(**fields: str) -> HeaderOperations:
    return HeaderOperations(set=tuple((name.replace("_", "-"), value) for name, value in fields.items()))


def to(host: str = "b.com", operations: HeaderOperations | None = None, **more: str) -> RouteDestination:
    headers = Operations(operations) if operations else Operations()
    return RouteDestination(Destination(host), headers=headers, **more)  # type: ignore[arg-type]


def rest(outgoing: Outgoing) -> Headers:
    """The headers but the first, which is the host."""
    assert outgoing.headers[0][0] == "Host"
    return outgoing.headers[1:]


@pytest.mark.parametrize(
    ("path", "provider", "expected"),
    [
        pytest.param(
            "/ai/v1/models?a=1", QWEN, "/compatible-mode/v1/models?a=1", id="and-then-the-providers-base"
        ),
        pytest.param("/ai/chat/completions", QWEN, CHAT, id="and-then-the-providers-chat"),
        pytest.param("/ai/v1/models?a=1", None, "/v1/models?a=1", id="without-provider"),
        pytest.param("/ai/x?key=s3cret&a=1", BARE, "/x?a=1", id="no-credential-in-the-query-of-a-provider"),
        pytest.param("/ai/x?key=s3cret&a=1", None, "/x?key=s3cret&a=1", id="the-query-as-it-is"),
    ],
)
def test_the_rules_rewrite_comes_first(path: str, provider: Provider | None, expected: str) -> None:
    match = Match(uri=StringMatch(MatchType.PREFIX, "/ai/"))

    outgoing = rewrite(request(path), target_of(provider), None, Plan(Rewrite(uri="/"), match))

    assert outgoing.path == expected


@pytest.mark.parametrize(
    ("plan", "provider", "expected"),
    [
        pytest.param(Plan(destination=to()), QWEN, "b.com", id="the-providers"),
        pytest.param(Plan(destination=to()), None, "a.com", id="the-clients"),
        pytest.param(Plan(destination=to(authority="d.com")), QWEN, "d.com", id="the-destinations"),
        pytest.param(Plan(destination=to(authority="d.com")), None, "d.com", id="without-provider"),
        pytest.param(
            Plan(destination=to(operations=setting(host="d.com"))),
            QWEN,
            "d.com",
            id="the-destinations-headers",
        ),
        pytest.param(
            Plan(operations=setting(host="r.com"), destination=to(authority="d.com")),
            QWEN,
            "r.com",
            id="the-rules-headers-over-the-destination",
        ),
        pytest.param(
            Plan(Rewrite(authority="w.com"), operations=setting(host="r.com")),
            QWEN,
            "w.com",
            id="the-rules-rewrite-over-its-headers",
        ),
        pytest.param(
            Plan(Rewrite(authority="w.com"), destination=to(authority="d.com"), fell_back=True),
            QWEN,
            "b.com",
            id="a-fallback-provider-keeps-its-own",
        ),
        pytest.param(
            Plan(Rewrite(authority="w.com"), fell_back=True), None, "w.com", id="another-fallback-does-not"
        ),
    ],
)
def test_authority(plan: Plan, provider: Provider | None, expected: str) -> None:
    """And the one that a rule replaced is told, as Envoy does."""
    outgoing = rewrite(request(), target_of(provider), None, plan)

    assert outgoing.headers[0] == ("Host", expected)
    told = (("x-envoy-original-host", request().authority),)
    assert outgoing.headers[1:] in ((), told)
    assert expected in (request().authority, target_of(provider).host) or outgoing.headers[1:] == told


def test_a_client_that_takes_trailers_says_so_to_the_provider() -> None:
    """As through Envoy; nothing else of TE is passed on."""
    outgoing = rewrite(request("/", ("TE", "Trailers")), target_of(QWEN), None)

    assert rest(outgoing) == (("te", "trailers"),)


def test_a_path_that_a_rule_replaced_is_told() -> None:
    """As Envoy does; without a client's key, if that is for another provider."""
    elsewhere = Target("else.com", 80, (), provider=Provider("else"))
    change = Plan(Rewrite(uri="/new"))

    told = dict(rewrite(request("/old?key=sk-1&a=1"), elsewhere, None, change).headers)

    assert told["x-envoy-original-path"] == "/old?a=1"
    assert "x-envoy-original-path" not in dict(rewrite(request("/old"), elsewhere, None, Plan()).headers)


def test_operations_of_the_rule_and_the_destination() -> None:
    """In Istio's order, on what is left of the client's headers."""
    plan = Plan(
        operations=HeaderOperations(set=(("X-A", "rule"),), remove=("X-B",)),
        destination=to(operations=HeaderOperations(set=(("X-A", "destination"),), add=(("X-C", "2"),))),
    )
    original = request("/", ("X-A", "1"), ("X-B", "1"), ("X-C", "1"))

    only = rewrite(original, target_of(QWEN), None, plan)
    one_of_two = rewrite(
        original,
        target_of(QWEN),
        None,
        Plan(operations=plan.operations, destination=plan.destination, is_weighted=True),
    )

    assert rest(only) == (("X-C", "1"), ("X-A", "destination"), ("X-C", "2"))
    assert rest(one_of_two) == (("X-C", "1"), ("X-C", "2"), ("X-A", "rule"))


@pytest.mark.parametrize(
    ("provider", "plan", "expected"),
    [
        pytest.param(QWEN, Plan(operations=setting(Authorization="rule")), None, id="the-providers-key-wins"),
        pytest.param(
            BARE, Plan(operations=setting(Authorization="rule")), "rule", id="the-rules-without-key"
        ),
        pytest.param(None, Plan(operations=setting(authorization="rule")), "rule", id="without-provider"),
        pytest.param(
            BARE, Plan(destination=to(operations=setting(authorization="d"))), "d", id="the-destinations"
        ),
        pytest.param(
            BARE,
            Plan(destination=to("x.com", setting(authorization="d", api_key="d")), fell_back=True),
            None,
            id="not-at-a-fallback",
        ),
        pytest.param(
            BARE,
            Plan(destination=to("b.com", setting(authorization="d")), fell_back=True),
            "d",
            id="at-another-port-of-the-host",
        ),
        pytest.param(
            BARE,
            Plan(operations=setting(authorization="rule"), destination=to("x.com"), fell_back=True),
            "rule",
            id="the-rules-at-a-fallback",
        ),
    ],
)
def test_credentials_that_a_rule_writes(provider: Provider | None, plan: Plan, expected: str | None) -> None:
    """Never in place of a provider's key, and a destination's only for its host."""
    outgoing = rewrite(request("/", ("Authorization", "mine")), target_of(provider), None, plan)

    headers = dict(rest(outgoing))
    assert headers.get("Authorization", headers.get("authorization")) == expected
    assert "api-key" not in headers


def test_a_destinations_other_headers_go_to_its_fallback() -> None:
    plan = Plan(destination=to("x.com", setting(x_team="a", x_api_key="k")), fell_back=True)

    assert rest(rewrite(request(), target_of(BARE), None, plan)) == (("x-team", "a"),)


@pytest.mark.parametrize(
    "name", ["Content-Length", "Transfer-Encoding", "connection", "Expect", "TE", "Upgrade"]
)
def test_framing_is_not_for_rules(name: str) -> None:
    """A length or encoding that is not the body's would make two requests of one."""
    operations = HeaderOperations(set=((name, "1"),), add=((name, "2"),))

    assert rewrite(request(), target_of(None), None, Plan(operations=operations)).headers == (
        ("Host", "a.com"),
    )


@pytest.mark.parametrize(
    "name",
    [
        "x-envoy-retry-on",
        "X-Envoy-Max-Retries",
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-expected-rq-timeout-ms",
        "x-envoy-attempt-count",
        "x-envoy-internal",
        "x-envoy-force-trace",
        "x-envoy-upstream-stream-duration-ms",
    ],
)
def test_what_controls_envoy_does_not_pass_it(name: str) -> None:
    """From a client that Envoy takes for an external one."""
    sent = rewrite(request("/", (name, "1"), ("x-envoyish", "1")), target_of(None), None)

    assert rest(sent) == (("x-envoyish", "1"),)


@pytest.mark.parametrize(
    ("rule", "key", "body"),
    [
        pytest.param(None, "qwen-key", {"model": "qwen-72b", "a": 1}, id="no-llmroute"),
        pytest.param("vip", None, {"model": "qwen-max", "stream": True, "a": 1}, id="its-own-settings"),
        pytest.param("other", "qwen-key", {"model": "qwen-72b", "a": 1}, id="no-settings-of-its-own"),
    ],
)
def test_settings_for_a_rule_of_an_llmroute(
    rule: str | None, key: str | None, body: dict[str, object]
) -> None:
    """In place of the provider's own, not added to them."""
    outgoing = rewrite(request(), target_of(QWEN), None, Plan(llm_rule=rule))

    assert json.loads(outgoing.body) == body
    assert (outgoing.api_key and outgoing.api_key.get_secret_value()) == key


def test_plan_of_a_rule() -> None:
    """Everything that the rule says, and nothing for one that answers by itself."""
    operations, match, change = setting(x_a="1"), Match(), Rewrite(uri="/")
    first, second = to("a.com"), to("b.com")
    one = Route("r", "f:1", (first,), headers=Operations(operations), rewrite=change, llm_rule="vip")

    assert Plan.of(one, match, first, fell_back=True) == Plan(
        change, match, operations, first, is_weighted=False, llm_rule="vip", fell_back=True
    )
    assert Plan.of(
        Route("r", "f:1", (first, second), is_weighted=True), None, second, fell_back=False
    ) == Plan(destination=second, is_weighted=True)
    assert Plan.of(Route("r", "f:1", DirectResponse(200)), None, first, fell_back=False) == Plan(
        destination=first
    )


def test_with_header() -> None:
    """In place of any of its name; the rest as it is."""
    outgoing = rewrite(request("/", ("X-A", "1"), ("x-b", "1")), target_of(QWEN), None)

    changed = outgoing.with_header("x-a", "2").with_header("X-C", "3")

    assert changed.headers == (("Host", "b.com"), ("x-b", "1"), ("x-a", "2"), ("X-C", "3"))
    assert (changed.path, changed.body, changed.api_key) == (outgoing.path, outgoing.body, outgoing.api_key)


names = st.sampled_from(["Authorization", "x-api-key", "Cookie", "X-A", "host", "x-b", "content-length"])
fields = st.lists(st.tuples(names, st.sampled_from(["1", "rule", "%REQ(authorization)%"])), max_size=3).map(
    tuple
)
operations = st.builds(HeaderOperations, fields, fields, st.lists(names, max_size=2).map(tuple))
plans = st.builds(
    Plan,
    rewrite=st.none()
    | st.builds(Rewrite, st.sampled_from([None, "/x", "/y?z="]), authority=st.just("w.com") | st.none()),
    operations=operations,
    destination=st.none() | st.builds(to, st.sampled_from(["b.com", "c.com"]), operations),
    is_weighted=st.booleans(),
    fell_back=st.booleans(),
)
secrets = st.lists(
    st.tuples(st.sampled_from(["Authorization", "x-api-key", "Cookie"]), st.just("s3cret")), max_size=3
)


@settings(max_examples=300)
@given(plans, secrets, st.sampled_from([QWEN, BARE]))
def test_no_rule_brings_a_clients_credential_to_another_provider(
    plan: Plan, headers: list[tuple[str, str]], provider: Provider
) -> None:
    """And a provider's key is the only one in `Authorization`."""
    outgoing = rewrite(request("/?key=s3cret", *headers), target_of(provider), None, plan)

    assert "s3cret" not in repr((outgoing.path, outgoing.headers, outgoing.body))
    assert not outgoing.api_key or "authorization" not in {name.lower() for name, _ in outgoing.headers}
    assert [name.lower() for name, _ in outgoing.headers].count("host") == 1


@given(st.sampled_from([QWEN, BARE, None]), st.sampled_from(["a.com", "b.com"]))
def test_no_plan_is_a_plan_that_says_nothing(provider: Provider | None, host: str) -> None:
    target = target_of(provider, host)

    assert rewrite(request(), target, None) == rewrite(request(), target, None, NO_PLAN)
    assert rewrite(request(), target, None, Plan(destination=to(host))) == rewrite(request(), target, None)
    assert "operations" not in repr(NO_PLAN)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_what_came_from_variables_is_sent_and_not_shown(is_weighted: bool) -> None:  # noqa: FBT001
    """In headers of rule and destination, and in paths, of which the query is the client's."""
    plan = Plan(
        rewrite=Rewrite(Expanded("/s3cret/50%%")),
        operations=setting(x_rule=Expanded("s3cret 50%%"), x_plain="50%%"),
        destination=to(operations=setting(x_destination=Expanded("s3cret"))),
        is_weighted=is_weighted,
    )

    outgoing = rewrite(request("/?a=1&key=k"), target_of(None, "a.com"), None, plan).for_attempt(1, None)
    path, headers = outgoing.shown()

    assert outgoing.path == "/s3cret/50%%?a=1&key=k"
    sent, shown = dict(outgoing.headers), dict(headers)
    assert (sent["x-rule"], sent["x-destination"], sent["x-plain"]) == ("s3cret 50%", "s3cret", "50%")
    assert path == "/[redacted]?a=1&key=[redacted]"
    assert (shown["x-rule"], shown["x-destination"], shown["x-plain"]) == ("[redacted]", "[redacted]", "50%")


@pytest.mark.parametrize(
    ("path", "sent", "shown"),
    [
        pytest.param("/?a=1", "/s3cret/chat/completions?a=1", "/[redacted]/chat/completions?a=1", id="chat"),
        pytest.param("/v1/models?a=1", "/s3cret/models?a=1", "/[redacted]?a=1", id="another-api"),
        pytest.param("/health", "/health", "/health", id="where-it-has-no-part"),
    ],
)
def test_a_providers_path_that_came_from_a_variable(path: str, sent: str, shown: str) -> None:
    """Is sent and not shown; that it is a chat may be known."""
    provider = Provider("own", Expanded("/s3cret/chat/completions"))

    outgoing = rewrite(request(path), target_of(provider), BARE).for_attempt(1, None)

    assert (outgoing.path, outgoing.shown()[0]) == (sent, shown)


def test_an_authority_that_came_from_a_variable() -> None:
    """Is an address, and shown as one."""
    plan = Plan(operations=setting(host=Expanded("b.com")))

    assert rewrite(request(), target_of(None, "a.com"), None, plan).shown()[1][0] == ("Host", "b.com")
