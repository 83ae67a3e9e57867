"""Which rules have which policy, and what of it."""

from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import Budget, Hedging, Limits, Link
from llm_fallback.resources.llmfallbackpolicy import AllEjected, Hold
from tests.config.compiled import snapshot_of
from tests.config.conftest import Load
from tests.config.written import entry, llm_route, policy, provider, to, virtual_service

A = provider()
TO_A = "route: [{destination: {host: a.com}}]"
RULES = virtual_service(
    "a.com", http=f"[{{name: one, match: [{{port: 80}}], {TO_A}}}, {{name: two, {TO_A}}}]"
)
VS, ONE, LLM = (
    "{kind: VirtualService, name: vs}",
    "{kind: VirtualService, name: vs, sectionName: one}",
    "{kind: LLMProvider, name: a}",
)


def policies(load_yaml: Load, text: str, host: str = "a.com") -> list[str | None]:
    """The names of the policies of a host's rules."""
    routes = snapshot_of(load_yaml, text).virtual_hosts[host].routes
    return [route.rescue.name if route.rescue else None for route in routes]


def test_the_most_specific_policy_counts(load_yaml: Load) -> None:
    """That of the rule, else that of the resource, else that of the provider whose host is called."""
    one, vs, llm = policy(ONE, name="one"), policy(VS, name="vs"), policy(LLM, name="llm")

    assert policies(load_yaml, A + RULES) == [None, None]
    assert policies(load_yaml, A + RULES + llm) == ["llm", "llm"]
    assert policies(load_yaml, A + RULES + llm + vs) == ["vs", "vs"]
    assert policies(load_yaml, A + RULES + llm + one) == ["one", "llm"]
    assert policies(load_yaml, A + RULES + llm + vs + one) == ["one", "vs"]


def test_a_provider_without_rules(load_yaml: Load) -> None:
    """Its requests are rescued all the same."""
    assert policies(load_yaml, A + policy(LLM)) == ["p"]


def test_rules_that_lead_to_a_provider_from_elsewhere(load_yaml: Load) -> None:
    """A policy is for the host that is called, not for the one that is chosen."""
    text = A + entry() + virtual_service("b.com", http=to("a.com")) + policy(LLM)

    assert policies(load_yaml, text, "b.com") == [None]


def test_the_rules_of_an_llm_route(load_yaml: Load) -> None:
    """By name as well."""
    rules = "[{name: vip, backendRefs: [{providerHost: a.com}]}, {backendRefs: [{providerHost: a.com}]}]"
    ref = "{kind: LLMRoute, name: lr, sectionName: vip}"

    assert policies(load_yaml, A + llm_route(rules=rules) + policy(ref)) == ["p", None]


def test_all_that_a_policy_says(load_yaml: Load) -> None:
    """In seconds, statuses apart from words."""
    text = A + policy(
        LLM,
        rescue="{failures: [5xx, 429], attempts: 2, deadline: 1m, backoff: 100ms, unlessSlowerThan: 5s}",
        chain="[{host: a.com, port: {number: 80}, weight: 2}, {host: a.com, weight: 1}]",
        limits="{responseHeaders: 3s, firstToken: 2s, stall: 1s}",
        rateLimit="{maxRetryAfter: 0s}",
        ejection="{probation: true, slowStart: 10s}",
        hold="WholeAnswer",
        hedging="{delay: 1s}",
        budget="{percent: 20.5, minimum: 3}",
        allEjected="Fail",
        maxRequestBytes="5",
        headers="{prefix: ''}",
    )

    (route,) = snapshot_of(load_yaml, text).virtual_hosts["a.com"].routes
    found = route.rescue

    assert found is not None
    assert (found.name, found.source) == ("p", "a.yaml:8 LLMFallbackPolicy/p")
    assert (found.failures, found.codes) == (frozenset({"5xx"}), frozenset({429}))
    assert (found.attempts, found.deadline_s, found.backoff_s) == (2, 60.0, 0.1)
    assert found.unless_slower_than_s == 5.0
    assert found.chain == (Link(Destination("a.com", 80), 2), Link(Destination("a.com"), 1))
    assert found.limits == Limits(response_headers_s=3.0, first_token_s=2.0, stall_s=1.0)
    assert (found.max_retry_after_s, found.probation, found.slow_start_s) == (0.0, True, 10.0)
    assert (found.hold, found.hedging) == (Hold.WHOLE_ANSWER, Hedging(1.0))
    assert (found.budget, found.all_ejected) == (Budget(20.5, 3), AllEjected.FAIL)
    assert (found.max_request_bytes, found.header_prefix) == (5, None)
