"""What clients, logs and providers are told of a rescue, and what goes along to another provider."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from llm_fallback import story as stories
from llm_fallback.config.rescue import RescuePolicy
from llm_fallback.config.routes import HeaderOperations, Headers, Route
from llm_fallback.config.snapshot import HashPolicy, HashSource, LoadBalancing, Provider, ProviderConfig
from llm_fallback.events import Rescued
from tests.upstream.exchanging import play, request, rule, to
from tests.upstream.rescuing import (
    GOOD,
    NO_RETRIES,
    STREAM,
    WORD,
    A,
    B,
    policy,
    rescue,
    rescuing,
    told,
    whole,
)
from tests.upstream.world import Reply, target


def marks(story_headers: object) -> dict[str, str]:
    """The headers of ours."""
    assert isinstance(story_headers, tuple)
    return {name: value for name, value in story_headers if name.startswith("x-llm-fallback-")}


def test_who_served() -> None:
    """Host, attempts and reason; the model where it is not the client's choice, as the rule has it."""
    provider = Provider(
        "b", default=ProviderConfig(model="big"), by_rule={"chat": ProviderConfig(model="small")}
    )
    other = target("b.com", provider=provider)
    saved = play((A, other), (rescuing(llm_rule="chat"),), 503, GOOD[False])
    plain = rescue(GOOD[True])

    assert marks(saved.heads[0].headers) == {
        "x-llm-fallback-host": "b.com",
        "x-llm-fallback-model": "small",
        "x-llm-fallback-attempts": "2",
        "x-llm-fallback-reason": "a.com:80: 503",
    }
    assert marks(plain.heads[0].headers) == {"x-llm-fallback-host": "a.com", "x-llm-fallback-attempts": "1"}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param(policy(header_prefix=None), ["x-should-retry"], id="none"),
        pytest.param(
            policy(header_prefix="x-me-"),
            ["x-should-retry", "x-me-attempts", "x-me-reason", "x-me-host"],
            id="other",
        ),
    ],
)
def test_the_headers_can_be_switched_off(given: RescuePolicy, names: list[str]) -> None:
    """Or be called otherwise."""
    story = rescue(500, 500, given=given)

    found = [name for name, _ in story.heads[0].headers if name.startswith("x-") and "envoy" not in name]
    assert found == names


def test_what_the_log_says() -> None:
    """Who was to answer, and why another one did."""
    again = replace(STREAM, headers=(*STREAM.headers, ("X-Stainless-Retry-Count", "2")))
    saved = rescue(503, GOOD[True], requests=(again,))
    lost = rescue(503, 500)
    large = rescue(503, given=policy(max_request_bytes=1))

    assert told(saved) == Rescued("p", ("a.com:80: 503",), client_retries=2)
    assert stories.summary(saved.events[0]).startswith(
        "chat -> b.com:80 after a.com:80: 503 (the client's retry 2) | a.com:80: 503 in"
    )
    assert " after a.com:80: 503, b.com:80: 500 (nobody left to ask) | " in stories.summary(lost.events[0])
    assert stories.summary(large.events[0]).startswith("chat -> a.com:80 (too large to be rescued) | ")
    assert stories.as_data(saved.events[0])["rescue"] == {
        "policy": "p", "reasons": ["a.com:80: 503"], "is_spent": False, "is_too_large": False,
        "client_retries": 2,
    }  # fmt: skip


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "12345", "²"])
def test_odd_retry_counts(value: str) -> None:
    """Are none."""
    odd = replace(STREAM, headers=(*STREAM.headers, ("x-stainless-retry-count", value)))

    assert told(rescue(GOOD[True], requests=(odd,))).client_retries == 0


def test_what_goes_along_to_another_provider() -> None:
    """The original request, with that one's key and model; nothing of the first one's keys and accounts."""
    own = Provider("b", default=ProviderConfig("m", api_key=SecretStr("b-key")))
    both = (target("a.com", provider=Provider("a")), target("b.com", provider=own))
    route = rescuing(
        headers=Headers(request=HeaderOperations(set=(("x-api-key", "of-the-rule"), ("x-rule", "1")))),
    )
    asked = request(
        path="/v1/chat/completions", Authorization="Bearer client", Cookie="c", OpenAI_Organization="o",
        OpenAI_Project="p", X_Request_Id="r", Idempotency_Key="i", X_Own="1", Accept_Encoding="gzip",
    )  # fmt: skip

    first, second = play(both, (route,), 503, whole(WORD), requests=(asked,)).world.sent

    assert (first.header("authorization"), first.header("cookie")) == ("Bearer client", "c")
    assert (first.header("openai-organization"), first.header("x-api-key")) == ("o", "of-the-rule")
    left = {name.lower() for name, _ in first.outgoing.headers} - {
        n.lower() for n, _ in second.outgoing.headers
    }
    assert left == {
        "authorization", "cookie", "openai-organization", "openai-project", "x-request-id", "idempotency-key",
        "x-api-key",
    }  # fmt: skip
    assert (second.header("x-own"), second.header("x-rule"), second.header("host")) == ("1", "1", "b.com")
    assert second.outgoing.api_key is own.default.api_key
    assert (second.outgoing.body, first.outgoing.body) == (b'{"model": "m"}', b"{}")
    assert [sent.header("accept-encoding") for sent in (first, second)] == ["identity", "identity"]
    assert second.header("x-envoy-attempt-count") == "1"


def test_without_a_policy_the_mesh_passes_accounts_on() -> None:
    """As Envoy does."""
    asked = request(OpenAI_Organization="o", X_Request_Id="r")
    route = rule(to("a.com", fallback="b.com"), retries=NO_RETRIES)

    second = play((A, B), (route,), 503, 200, requests=(asked, asked)).world.sent[1]

    assert (second.host, second.header("openai-organization"), second.header("x-request-id")) == (
        "b.com",
        "o",
        "r",
    )


COOKIE = Reply(200, headers=(("Set-Cookie", "session=1"),))


@pytest.mark.parametrize(
    ("route", "replies", "cookie"),
    [
        pytest.param(rescuing(), (COOKIE,), "session=1", id="the-clients-host"),
        pytest.param(rescuing(), (503, COOKIE), None, id="another-host"),
        pytest.param(
            rescuing(given=policy(max_request_bytes=1)), (COOKIE,), "session=1", id="too-large-to-be-rescued"
        ),
        pytest.param(rule(to("b.com")), (COOKIE,), "session=1", id="without-a-policy-as-the-mesh"),
    ],
)
def test_another_hosts_cookies(route: Route, replies: tuple[Reply | int, ...], cookie: str | None) -> None:
    """The client would take them for those of the host that it asked, and bring them there."""
    assert play((A, B), (route,), *replies).header("set-cookie") == cookie


def test_the_cookie_is_of_who_serves() -> None:
    """A hash policy of another target makes none."""
    hashing = LoadBalancing(hash_policy=HashPolicy(HashSource.COOKIE, "sticky", "/", 60.0))
    other = target("b.com", balancing=hashing)

    own = play((A, other), (rescuing(),), GOOD[False])
    saved = play((A, other), (rescuing(),), 503, GOOD[False])

    assert own.header("set-cookie") is None
    assert (saved.header("set-cookie") or "").startswith("sticky=")
