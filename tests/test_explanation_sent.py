"""What an explanation says of the request as it is sent, and to whom."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from llm_fallback.config.rescue import Limits, RescuePolicy
from llm_fallback.config.routes import DEFAULT_RETRIES
from llm_fallback.config.snapshot import (
    Algorithm,
    HashPolicy,
    HashSource,
    LoadBalancing,
    Provider,
    ProviderConfig,
    Tls,
)
from tests.explained import TO_A, asking, only, snapshot, target, to, told
from tests.support.policies import compiled

COUNTED = ("x-envoy-attempt-count", "1")
POLICY = compiled(source="f:9 LLMFallbackPolicy/p", limits=Limits(20.0, 180.0, 120.0))


@pytest.mark.parametrize(
    ("panic_threshold", "expected"),
    [(0, ("a.com-1:80", "a.com-2:80")), (70, ("a.com-0:80", "a.com-1:80", "a.com-2:80"))],
)
def test_endpoints(panic_threshold: int, expected: tuple[str, ...]) -> None:
    """Those that may get the request; in panic, also those that are ejected."""
    three = target("a.com", 3, panic_threshold=panic_threshold)

    found = only(told(snapshot(to(TO_A), targets=(three,)), ejected="a.com-0"))

    assert found.target
    assert [each.is_ejected for each in found.target.endpoints] == [True, False, False]
    assert found.sent
    assert found.sent.endpoints == expected


@pytest.mark.parametrize(
    ("algorithm", "header", "is_hashed"),
    [
        (Algorithm.MAGLEV, "x-user", True),
        (Algorithm.RING_HASH, "x-user", True),
        (Algorithm.RING_HASH, "x-other", False),
        (Algorithm.RANDOM, "x-user", False),
    ],
)
def test_the_endpoint_that_a_hash_leads_to(algorithm: Algorithm, header: str, is_hashed: bool) -> None:  # noqa: FBT001
    policy = HashPolicy(HashSource.HEADER, "x-user")
    five = target("a.com", 5, balancing=LoadBalancing(algorithm, policy, 1009))

    sent = only(told(snapshot(to(TO_A), targets=(five,)), asking("/", (header, "me")))).sent

    assert sent
    assert (sent.is_hashed, len(sent.endpoints)) == ((True, 1) if is_hashed else (False, 5))


def test_what_is_sent_to_a_provider() -> None:
    """Its path, its name, its settings and a place for its key."""
    config = ProviderConfig("qwen", stream=False, api_key=SecretStr("s3cret"))
    there = target(
        "a.com",
        tls=Tls("sni.com", ("a.com",)),
        provider=Provider("p", "/x/chat/completions", config),
        sources=("f.yaml:3 LLMProvider/p", "f.yaml:9 DestinationRule/r"),
    )
    request = asking("/?a=1", ("Authorization", "Bearer mine"), body=b'{"stream": true, "model": "m"}')

    found = only(told(snapshot(to(TO_A), targets=(there,)), request))

    sent = found.sent
    assert sent
    assert (sent.method, sent.url, sent.sni) == ("POST", "https://a.com/x/chat/completions?a=1", "sni.com")
    assert sent.headers == (("Host", "a.com"), COUNTED, ("Authorization", "Bearer [redacted]"))
    assert (sent.config, sent.has_providers_key) == ("defaultConfig", True)
    assert (dict(sent.body.set), sent.body.kept) == ({"model": "qwen"}, ("stream",))
    assert found.target
    assert found.target.resources == ("f.yaml:3 LLMProvider/p", "f.yaml:9 DestinationRule/r")


@pytest.mark.parametrize(
    ("rule", "config", "model"),
    [
        (None, "defaultConfig", "m"),
        ("premium", "routeSpecificConfigs.premium", "best"),
        ("x", "defaultConfig", "m"),
    ],
)
def test_the_providers_configuration_in_force(rule: str | None, config: str, model: str) -> None:
    """That of the LLMRoute's rule, if the provider has one for it."""
    provider = Provider("p", default=ProviderConfig("m"), by_rule={"premium": ProviderConfig("best")})
    there = target("a.com", provider=provider)

    sent = only(
        told(snapshot(to(TO_A, llm_rule=rule), targets=(there,)), asking("/v1/chat/completions", body=b"{}"))
    ).sent

    assert sent
    assert (sent.config, sent.has_providers_key, dict(sent.body.set)) == (config, False, {"model": model})


@pytest.mark.parametrize(
    ("timeout_s", "per_try_timeout_s", "rescue", "expected"),
    [
        pytest.param(None, None, None, None, id="as-long-as-it-likes"),
        pytest.param(5.0, None, None, "5000", id="timeout"),
        pytest.param(5.0, 2.0, None, "2000", id="per-try-timeout"),
        pytest.param(5.0, 9.0, None, "5000", id="timeout-before-per-try-timeout"),
        pytest.param(None, None, POLICY, "20000", id="policys-limit"),
        pytest.param(None, None, replace(POLICY, deadline_s=10.0), "10000", id="policys-deadline"),
        pytest.param(5.0, None, POLICY, "5000", id="timeout-before-policys-limit"),
        pytest.param(None, 2.0, POLICY, "2000", id="per-try-timeout-before-policys-limit"),
    ],
)
def test_what_the_first_attempt_says_of_itself(
    timeout_s: float | None,
    per_try_timeout_s: float | None,
    rescue: RescuePolicy | None,
    expected: str | None,
) -> None:
    retries = replace(DEFAULT_RETRIES, per_try_timeout_s=per_try_timeout_s)

    sent = only(told(snapshot(to(TO_A, timeout_s=timeout_s, retries=retries, rescue=rescue)))).sent

    assert sent
    time = [] if expected is None else [("x-envoy-expected-rq-timeout-ms", expected)]
    assert [each for each in sent.headers if each[0].startswith("x-envoy-")] == [COUNTED, *time]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", ({}, ()), id="none"),
        pytest.param(b"{}", ({"model": "qwen", "stream": False}, ()), id="both-set"),
        pytest.param(b'{"model": "qwen", "stream": 1}', ({}, ("model", "stream")), id="both-kept"),
        pytest.param(b"[1]", ({}, ()), id="no-object"),
        pytest.param(b"[" * 100_000, ({}, ()), id="too-deep"),
        pytest.param(
            b'{"a": ' + b"9" * 5000 + b', "stream": true}', ({"model": "qwen"}, ("stream",)), id="long"
        ),
    ],
)
def test_settings_in_the_body(body: bytes, expected: tuple[dict[str, object], tuple[str, ...]]) -> None:
    there = target("a.com", provider=Provider("p", default=ProviderConfig("qwen", stream=False)))

    sent = only(told(snapshot(to(TO_A), targets=(there,)), asking("/v1/chat/completions", body=body))).sent

    assert sent
    assert (dict(sent.body.set), sent.body.kept) == expected
