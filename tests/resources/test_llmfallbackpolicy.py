"""What an LLMFallbackPolicy accepts, what it means where it says nothing, and what is said of mistakes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llm_fallback.config import load
from llm_fallback.resources.llmfallbackpolicy import (
    DEFAULT_FAILURES,
    FAILURES,
    AllEjected,
    Hold,
    LLMFallbackPolicySpec,
)
from tests.config.written import policy, provider

TO_A: list[dict[str, Any]] = [{"kind": "LLMProvider", "name": "a"}]


def spec_of(**fields: Any) -> LLMFallbackPolicySpec:
    return LLMFallbackPolicySpec.model_validate({"targetRefs": TO_A, **fields})


def test_a_policy_that_says_nothing() -> None:
    """Every failure that is no answer is rescued, within limits that leave models time to think."""
    spec = spec_of()

    assert tuple(spec.rescue.failures) == DEFAULT_FAILURES
    assert set(DEFAULT_FAILURES) - {"429"} <= FAILURES
    assert (spec.rescue.attempts, spec.rescue.deadline, spec.rescue.backoff) == (4, 600_000, 0)
    assert spec.rescue.unless_slower_than is None
    assert spec.chain == []
    assert (spec.limits.response_headers, spec.limits.first_token) == (300_000, 180_000)
    assert spec.limits.stall == 120_000
    assert spec.rate_limit.max_retry_after == 300_000
    assert (spec.ejection.probation, spec.ejection.slow_start) == (False, 0)
    assert spec.hold is Hold.FIRST_CONTENT
    assert spec.hedging is None
    assert (spec.budget.percent, spec.budget.minimum) == (100, 10)
    assert spec.all_ejected is AllEjected.TRY_SOONEST
    assert spec.max_request_bytes == 10 * 1024**2
    assert spec.headers.prefix == "x-llm-fallback-"


@pytest.mark.parametrize("failure", [429, "429", 400, 599, *sorted(FAILURES)])
def test_failures(failure: str | int) -> None:
    """By name, or by status, which may be a number."""
    assert spec_of(rescue={"failures": [failure]}).rescue.failures == [str(failure)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"rescue": "{failures: []}"}, "rescue.failures: must not be empty", id="no-failures"),
        pytest.param(
            {"rescue": "{failures: [5xx, conect-failure]}"},
            "rescue.failures[1]: 'conect-failure': neither the name of a failure nor a status from 400 to 599"
            " (did you mean connect-failure?)",
            id="a-slip",
        ),
        pytest.param(
            {"rescue": "{failures: [200]}"},
            "rescue.failures[0]: 200: neither the name of a failure nor a status from 400 to 599 (write one"
            f" of {', '.join(sorted(FAILURES))})",
            id="a-success",
        ),
        pytest.param(
            {"rescue": "{failures: [[5xx]]}"},
            "rescue.failures[0]: must be a string, not a list",
            id="no-failure-at-all",
        ),
        pytest.param({"rescue": "{attempts: 0}"}, "rescue.attempts: must be 1 or more, not 0", id="attempts"),
        pytest.param(
            {"rescue": "{attempts: 21}"}, "rescue.attempts: must be 20 or less, not 21", id="too-many"
        ),
        pytest.param(
            {"rescue": "{deadline: 10}"},
            "rescue.deadline: 10: a duration needs a unit (write a number with a unit of ms, s, m or h, such"
            " as 10s)",
            id="no-unit",
        ),
        pytest.param(
            {"limits": "{firstToken: 0s}"},
            "limits.firstToken: '0s': a duration is a whole number of milliseconds, at least 1ms",
            id="a-limit-of-nothing",
        ),
        pytest.param(
            {"limits": "{firstTokens: 1s}"},
            "limits.firstTokens: unknown field (did you mean firstToken?)",
            id="an-unknown-field",
        ),
        pytest.param({"chain": "[{port: {number: 80}}]"}, "chain[0].host: is required", id="no-host"),
        pytest.param(
            {"chain": "[{host: a.com, weight: 0}]"}, "chain[0].weight: must be 1 or more, not 0", id="weight"
        ),
        pytest.param(
            {"hold": "WholeAnwser"},
            "hold: 'WholeAnwser': not one of the values that are supported (did you mean WholeAnswer?)",
            id="hold",
        ),
        pytest.param({"hedging": "{}"}, "hedging.delay: is required", id="hedging"),
        pytest.param(
            {"budget": "{percent: 2000}"}, "budget.percent: must be 1000 or less, not 2000", id="budget"
        ),
        pytest.param(
            {"headers": "{prefix: X_}"},
            "headers.prefix: 'X_': not how a header may begin (write at most 40 small letters, digits and"
            " hyphens)",
            id="prefix",
        ),
        pytest.param({"maxRequestBytes": "0"}, "maxRequestBytes: must be 1 or more, not 0", id="bytes"),
    ],
)
def test_mistakes(tmp_path: Path, fields: Mapping[str, str], said: str) -> None:
    """One sentence with the right path."""
    assert said_of(tmp_path, policy("{kind: LLMProvider, name: a}", **fields)) == [f"spec.{said}"]


@pytest.mark.parametrize(
    ("refs", "said"),
    [
        pytest.param([], "spec.targetRefs: must not be empty", id="none"),
        pytest.param(
            ["{kind: LLMProvider, name: a}", "{group: networking.istio.io, kind: LLMProvider, name: b}"],
            "spec.targetRefs[1].group: LLMProvider is of group istio.alibabacloud.com"
            " (write that, or leave it out)",
            id="the-group-of-another-kind",
        ),
        pytest.param(
            ["{kind: LLMProvider, name: a, sectionName: b}"],
            "spec.targetRefs[0].sectionName: a provider has no rules (remove it)",
            id="a-section-of-a-provider",
        ),
        pytest.param(
            ["{kind: LLMProvider, name: a}", "{kind: LLMProvider, name: a}"],
            "spec.targetRefs[1]: repeats targetRefs[0] (remove it)",
            id="twice",
        ),
        pytest.param(
            ["{kind: DestinationRule, name: a}"],
            "spec.targetRefs[0].kind: 'DestinationRule': not one of the values that are supported"
            " (write 'VirtualService', 'LLMRoute' or 'LLMProvider')",
            id="another-kind",
        ),
    ],
)
def test_what_a_policy_cannot_be_for(tmp_path: Path, refs: list[str], said: str) -> None:
    """Everything but rules and providers."""
    assert said_of(tmp_path, policy(*refs)) == [said]


def test_a_resource_and_one_of_its_rules() -> None:
    """Are two targets."""
    rules = {"kind": "VirtualService", "name": "vs"}

    refs = LLMFallbackPolicySpec.model_validate(
        {"targetRefs": [rules, rules | {"sectionName": "a"}, rules | {"sectionName": "b"}]}
    ).target_refs

    assert [ref.section_name for ref in refs] == [None, "a", "b"]


VARIABLES = {
    "rescue": '{failures: ["${FAILURE}", "${STATUS}"], attempts: "${COUNT}", deadline: "${TIME}"}',
    "chain": '[{host: "${HOST}", weight: "${COUNT}"}, {host: "${HOST}", weight: "${COUNT}"}]',
    "hold": '"${HOLD}"',
    "budget": '{percent: "${PERCENT}", minimum: "${COUNT}"}',
    "maxRequestBytes": '"${COUNT}"',
}


def test_variables(tmp_path: Path) -> None:
    """Wherever a number, a word or a time is wanted; and a wrong value of one is not shown."""
    text = provider() + policy("{kind: LLMProvider, name: a}", **VARIABLES)
    values = {"FAILURE": "5xx", "STATUS": "529", "COUNT": "3", "TIME": "1m", "HOST": "a.com"}
    values |= {"HOLD": "WholeAnswer", "PERCENT": "12.5"}

    assert not [line for line in said_of(tmp_path, text, values) if "chain" not in line]
    wrong = said_of(tmp_path, text, dict.fromkeys(values, "s3cret"))
    assert len(wrong) == 10
    assert not [line for line in wrong if "s3cret" in line]


def said_of(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """The findings, as `field: problem (hint)`."""
    file = folder / "a.yaml"
    file.write_text(text)
    found = [f for f in load([file], environment or {}).findings if f.field]
    return [f"{f.field}: {f.problem}{f' ({f.hint})' if f.hint else ''}" for f in found]
