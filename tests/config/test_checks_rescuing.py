"""Whether what a policy says of targets, weights and times can happen."""

import pytest

from tests.config.checked import A, B, C, codes, said
from tests.config.written import entry, policy, provider, to, virtual_service

HERE = "LLMFallbackPolicy/p"
PROVIDER = provider()
VS, LLM = "{kind: VirtualService, name: vs}", "{kind: LLMProvider, name: a}"
FALLING_BACK = "[{route: [{destination: {host: a.com}, fallback: {target: {host: b.com}}}]}]"
ANYWAY = "is what the rules ask anyway"


@pytest.mark.parametrize(
    ("http", "chain", "expected"),
    [
        pytest.param(to("a.com"), "[{host: b.com}, {host: c.com}]", {}, id="others"),
        pytest.param(to("a.com"), "[{host: a.com}, {host: b.com}]", {0: ANYWAY}, id="the-target"),
        pytest.param(FALLING_BACK, "[{host: c.com}, {host: b.com}]", {1: ANYWAY}, id="the-fallback"),
        pytest.param(
            to("a.com"),
            "[{host: b.com}, {host: c.com}, {host: b.com, port: {number: 80}}]",
            {2: "repeats chain[0]"},
            id="an-earlier-link",
        ),
        pytest.param(
            "[{match: [{uri: {prefix: /1}}], route: [{destination: {host: b.com}}]},"
            " {route: [{destination: {host: a.com}}]}]",
            "[{host: a.com}, {host: b.com}]",
            {},
            id="one-chain-for-several-rules",
        ),
    ],
)
def test_links_that_repeat_a_target(http: str, chain: str, expected: dict[int, str]) -> None:
    """A target is asked once, wherever it stands."""
    assert said(A + B + C + virtual_service("a.com", http=http) + policy(VS, chain=chain)) == [
        f"{HERE}: warning: spec.chain[{index}]: {problem}: a target is asked once only"
        " (remove it, or name another target) [fallback-cycle]"
        for index, problem in expected.items()
    ]


@pytest.mark.parametrize(
    ("weights", "lone"),
    [([1, 1], []), ([1, None], [0]), ([None, 1], [1]), ([1, None, 1], [0, 2]), ([None, None], [])],
)
def test_a_weight_alone(weights: list[int | None], lone: list[int]) -> None:
    """Is shared with nobody."""
    names = ["b", "c", "d"][: len(weights)]
    links = [f"{{host: {n}.com{f', weight: {w}' if w else ''}}}" for n, w in zip(names, weights, strict=True)]
    text = A + B + C + entry("d.com", name="d") + virtual_service("a.com", http=to("a.com"))

    assert said(text + policy(VS, chain=f"[{', '.join(links)}]")) == [
        f"{HERE}: warning: spec.chain[{index}].weight: has no effect: no link beside it has a weight"
        " (remove it, or give a weight to all that share a place) [no-effect]"
        for index in lone
    ]


@pytest.mark.parametrize(("attempts", "is_said"), [(1, True), (2, True), (3, False)])
def test_attempts_for_all_targets(attempts: int, is_said: bool) -> None:  # noqa: FBT001
    """Three targets: that of the rule, its fallback, and one link."""
    text = A + B + C + virtual_service("a.com", http=FALLING_BACK)
    are = "is 1 attempt" if attempts == 1 else f"are {attempts} attempts"

    assert (
        said(text + policy(VS, rescue=f"{{attempts: {attempts}}}", chain="[{host: c.com}]"))
        == [
            (
                f"{HERE}: info: spec.rescue.attempts: the last of 3 targets are asked only while others are"
                f" ejected: there {are} at most (write 3 or more) [out-of-reach]"
            )
        ]
        * is_said
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"rescue": "{deadline: 10s}"}, [], id="limits-by-default"),
        pytest.param(
            {"rescue": "{deadline: 10s}", "limits": "{responseHeaders: 10s, firstToken: 11s, stall: 20s}"},
            ["limits.firstToken"],
            id="limits",
        ),
        pytest.param(
            {"rescue": "{deadline: 10s}", "limits": "{responseHeaders: 1m}"},
            ["limits.responseHeaders"],
            id="headers",
        ),
        pytest.param(
            {"rescue": "{deadline: 10s}", "hedging": "{delay: 20s}"}, ["hedging.delay"], id="hedging"
        ),
        pytest.param(
            {"rescue": "{deadline: 10s, unlessSlowerThan: 20s, backoff: 11s}"},
            ["rescue.backoff", "rescue.unlessSlowerThan"],
            id="times-of-the-rescue",
        ),
    ],
)
def test_times_beyond_the_deadline(fields: dict[str, str], expected: list[str]) -> None:
    """Never come; the stall limit is also for what follows the first token, which the deadline is not."""
    assert said(PROVIDER + policy(LLM, **fields)) == [
        f"{HERE}: warning: spec.{field}: never applies: rescue.deadline ends the request before"
        " (write a longer deadline, or a shorter time here) [no-effect]"
        for field in expected
    ]


@pytest.mark.parametrize(("delay", "is_said"), [("29s", False), ("30s", True), ("1m", True)])
def test_hedging_after_the_limits(delay: str, is_said: bool) -> None:  # noqa: FBT001
    """The attempt has failed by then. Holding the whole answer changes nothing about it."""
    limits, hedging = "{responseHeaders: 20s, firstToken: 30s}", f"{{delay: {delay}}}"

    found = said(PROVIDER + policy(LLM, limits=limits, hedging=hedging, hold="WholeAnswer"))

    assert (
        found
        == [
            (
                f"{HERE}: warning: spec.hedging.delay: never applies: by then limits.responseHeaders or"
                " limits.firstToken has ended the attempt (write a shorter time) [no-effect]"
            )
        ]
        * is_said
    )


@pytest.mark.parametrize(
    ("budget", "is_said"),
    [("{percent: 0, minimum: 0}", True), ("{percent: 0}", False), ("{percent: 1, minimum: 0}", False)],
)
def test_a_budget_of_nothing(budget: str, is_said: bool) -> None:  # noqa: FBT001
    """One of the two is enough."""
    assert codes(PROVIDER + policy(LLM, budget=budget)) == ["no-effect spec.budget"] * is_said
