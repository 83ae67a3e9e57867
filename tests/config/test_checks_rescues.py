"""Policies that are for nothing, or lead nowhere."""

import pytest

from tests.config.checked import A, B, codes, said
from tests.config.conftest import Load
from tests.config.written import llm_route, policy, provider, rule, to, virtual_service

HERE = "LLMFallbackPolicy/p"
PROVIDER = provider()
VS, ROUTE, LLM = (f"{{kind: {kind}, name: {name}}}" for kind, name in (
    ("VirtualService", "vs"), ("LLMRoute", "lr"), ("LLMProvider", "a"),
))  # fmt: skip
HTTP = (
    "[{name: one, match: [{uri: {prefix: /1}}], route: [{destination: {host: a.com}}]},"
    " {name: two, route: [{destination: {host: a.com}}]}]"
)
RULES = virtual_service("a.com", http=HTTP)


def section(name: str, of: str = VS) -> str:
    return f"{of[:-1]}, sectionName: {name}}}"


@pytest.mark.parametrize("ref", [VS, ROUTE, LLM, section("one"), section("two")])
def test_a_policy_that_acts(ref: str) -> None:
    """Nothing is said of it."""
    text = PROVIDER + (llm_route(rules=BACKENDS) if ref is ROUTE else "" if ref is LLM else RULES)

    assert said(text + policy(ref)) == []


BACKENDS = "[{backendRefs: [{providerHost: a.com}]}]"


@pytest.mark.parametrize(
    ("ref", "metadata", "problem", "hint"),
    [
        pytest.param(
            "{kind: VirtualService, name: vss}",
            "",
            "VirtualService of this name in namespace default",
            "did you mean vs?",
            id="a-slip",
        ),
        pytest.param(
            "{kind: LLMRoute, name: vs}",
            "",
            "LLMRoute of this name in namespace default",
            "correct the name, or remove it",
            id="of-another-kind",
        ),
        pytest.param(
            VS,
            "namespace: shop",
            "VirtualService of this name in namespace shop",
            "there is one in default; a policy is for its own namespace",
            id="in-another-namespace",
        ),
    ],
)
def test_targets_that_are_not_there(ref: str, metadata: str, problem: str, hint: str) -> None:
    """The policy would be for nothing."""
    assert said(A + RULES + policy(ref, metadata=metadata)) == [
        f"{HERE}: error: spec.targetRefs[0].name: there is no {problem} ({hint}) [unknown-target]"
    ]


@pytest.mark.parametrize(
    ("text", "ref", "hint"),
    [
        pytest.param(RULES, section("tow"), "name the rule so, or correct the name", id="virtual-service"),
        pytest.param(
            llm_route(rules="[{name: premium, backendRefs: [{providerHost: a.com}]}]"),
            section("premum", ROUTE),
            "did you mean premium?",
            id="llm-route",
        ),
    ],
)
def test_sections_that_are_not_there(text: str, ref: str, hint: str) -> None:
    """By the names of the resource's rules."""
    name = "LLMRoute/lr" if "LLMRoute" in ref else "VirtualService/vs"
    assert said(A + text + policy(ref)) == [
        (
            f"{HERE}: error: spec.targetRefs[0].sectionName: {name} has no rule of this name ({hint})"
            " [unknown-rule]"
        )
    ]


def test_two_policies_for_one_target() -> None:
    """Which would win is nowhere said; a narrower one is no second one."""
    other = policy(VS, name="q")

    assert said(A + RULES + policy(VS) + other) == [
        (
            "LLMFallbackPolicy/q: error: spec.targetRefs[0]: VirtualService/vs already has a policy,"
            f" a.yaml:16 {HERE} (keep one of the two) [duplicate-policy]"
        )
    ]
    assert said(A + RULES + policy(section("one")) + policy(section("one"), name="q")) == [
        (
            "LLMFallbackPolicy/q: error: spec.targetRefs[0]: VirtualService/vs, rule one, already has a"
            f" policy, a.yaml:16 {HERE} (keep one of the two) [duplicate-policy]"
        )
    ]
    assert codes(A + RULES + policy(section("one")) + other) == []


@pytest.mark.parametrize(
    ("link", "line"),
    [
        pytest.param(
            "{host: b.con}",
            "host: no LLMProvider or ServiceEntry has this host (did you mean b.com?) [unknown-host]",
            id="host",
        ),
        pytest.param(
            "{host: b.com, port: {number: 81}}",
            "port.number: the host has no such port (it has 80) [unknown-port]",
            id="port",
        ),
        pytest.param(
            "{host: b.com, subset: v2}",
            "subset: no DestinationRule that counts for the host has this subset"
            " (add it there under subsets, or correct the name) [unknown-subset]",
            id="subset",
        ),
        pytest.param("{host: b.com, port: {number: 80}, subset: premium}", None, id="all-of-it-exists"),
    ],
)
def test_links_that_do_not_exist(link: str, line: str | None) -> None:
    """An error: unlike the mesh's resources, a policy is written for us."""
    text = A + B + rule("b.com", subsets="[{name: premium}]") + RULES

    assert said(text + policy(VS, chain=f"[{link}]")) == (
        [f"{HERE}: error: spec.chain[0].{line}"] if line else []
    )


FALLING_BACK = "[{route: [{destination: {host: a.com}, fallback: {target: {host: b.com}}}]}]"
REDIRECTS = "[{name: one, redirect: {uri: /b}}]"
BOTH = (
    "[{name: one, match: [{uri: {prefix: /b}}], redirect: {uri: /b}},"
    " {route: [{destination: {host: a.com}}]}]"
)
OTHERS = "[{name: one, match: [{gateways: [gw]}], route: [{destination: {host: a.com}}]}]"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            virtual_service("a.com", http=REDIRECTS) + policy(VS),
            "no rule in VirtualService/vs sends requests on",
            id="redirects",
        ),
        pytest.param(
            virtual_service("a.com", http=BOTH) + policy(section("one")),
            "the rule sends no requests on",
            id="a-redirect",
        ),
        pytest.param(virtual_service("a.com", http=BOTH) + policy(VS), None, id="a-redirect-and-more"),
        pytest.param(
            virtual_service("a.com", http=to("a.com"), name="first") + RULES + policy(VS),
            "VirtualService/vs has no effect itself",
            id="shadowed",
        ),
        pytest.param(
            virtual_service("a.com", http=to("a.com"), gateways="[gw]") + policy(VS),
            "VirtualService/vs is for gateways",
            id="for-gateways",
        ),
        pytest.param(
            RULES + policy(section("one"), section("two"), name="q") + policy(VS),
            "every rule in VirtualService/vs has a policy of its own",
            id="narrower-ones-for-every-rule",
        ),
        pytest.param(
            RULES + policy(section("one"), name="q") + policy(VS), None, id="narrower-ones-for-some-rules"
        ),
        pytest.param(
            RULES + policy(VS, name="q") + policy(LLM),
            "VirtualService/vs has the rules for the host, and each of them has a policy of its own",
            id="a-provider-whose-rules-have-one",
        ),
        pytest.param(
            virtual_service("'*.com'", http=to("a.com")) + policy(VS, name="q") + policy(LLM),
            "VirtualService/vs has the rules for the host, and each of them has a policy of its own",
            id="or-those-of-a-wildcard",
        ),
        pytest.param(
            virtual_service("a.com", http=REDIRECTS) + policy(LLM),
            "no rule in VirtualService/vs, which has the rules for the host, sends requests on",
            id="a-provider-whose-rules-redirect",
        ),
        pytest.param(
            llm_route(rules=BACKENDS) + policy(ROUTE, name="q") + policy(LLM),
            "LLMRoute/lr has the rules for the host, and each of them has a policy of its own",
            id="a-provider-with-an-llm-route",
        ),
        pytest.param(
            virtual_service("b.com", http=to("a.com")) + policy(VS, name="q") + policy(LLM),
            None,
            id="a-provider-that-other-rules-lead-to",
        ),
    ],
)
def test_policies_that_rescue_nothing(text: str, reason: str | None) -> None:
    """Each targetRef leads to requests that it is for."""
    found = [line for line in said(PROVIDER + B + text) if line.startswith(HERE)]

    assert found == (
        [f"{HERE}: warning: spec.targetRefs[0]: has no effect: {reason} [no-effect]"] if reason else []
    )


def test_a_section_for_others() -> None:
    """Requests of this proxy never come under the rule."""
    text = PROVIDER + virtual_service("a.com", http=OTHERS) + policy(section("one"))

    assert "no-effect spec.targetRefs[0]" in codes(text)


def test_a_fallback_without_a_detector_acts_where_requests_are_rescued() -> None:
    """By a policy of the rules, or of the provider whose host they are for, not of another one."""
    rules = virtual_service("a.com", http=FALLING_BACK)
    alias = virtual_service("models.internal", http=FALLING_BACK)
    no_detector = ["no-detector spec.http[0].route[0].fallback"]

    assert codes(PROVIDER + B + rules) == no_detector
    assert codes(PROVIDER + B + rules + policy(VS)) == []
    assert codes(PROVIDER + B + rules + policy(LLM)) == []
    assert codes(PROVIDER + B + alias + policy(LLM)) == no_detector


def test_broken_targets_are_not_missed(load_yaml: Load) -> None:
    """What is wrong with them has been said."""
    loaded = load_yaml(PROVIDER + RULES.replace("hosts:", "host:") + policy(VS))

    assert {finding.resource for finding in loaded.findings} == {"VirtualService/vs"}
