"""Scenarios from files: the one in docs/parity.md is one, and what is wrong is said in a sentence."""

import re
from pathlib import Path

import pytest

from tests.parity.files import scenarios_in
from tests.parity.scenario import Ask, AwaitReturn, Begin, Fault, HangUp, Release, Reply, Request, Say
from tests.support.proxy import ROOT


def test_the_documented_example(tmp_path: Path) -> None:
    text = (ROOT / "docs/parity.md").read_text("utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example
    path = tmp_path / "mine.yaml"
    path.write_text(example[1], "utf-8")

    (scenario,) = scenarios_in(path)

    assert scenario.primary.endpoints == 2
    assert scenario.route["timeout"] == "300ms"
    assert scenario.steps == (
        Say((503, 200, 500)),
        Ask(4),
        Say((Fault.SILENT,)),
        Ask(2, Request(headers=(("x-user", "anna"),))),
        Say((200,)),
        Begin(2),
        HangUp(),
        Release(),
        AwaitReturn(),
        Ask(1),
    )


def test_answers_with_headers(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(
        '{"name": "x", "steps": [{"say": {"behaviour": {"status": 429, "headers": {"a": "b"}}}}]}'
    )

    (scenario,) = scenarios_in(path)

    assert scenario.steps == (Say((Reply(429, (("a", "b"),)),)),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("name: x\nstep: []", "unknown: step; known: name", id="field"),
        pytest.param("name: a_b", "name: it is part of host names", id="name"),
        pytest.param("name: x\nsteps: [answer: 200]", "no step 'answer'; the steps are say, ask", id="step"),
        pytest.param("name: x\nsteps: [say: teapot]", "'teapot' is not a valid Fault", id="fault"),
        pytest.param("name: x\nsteps: [ask: often]", "times: Input should be a valid integer", id="type"),
        pytest.param(
            "name: x\nsteps: [say: {behaviour: [refuse, 200]}]", "only the last behaviour", id="order"
        ),
        pytest.param("- name: x", "a scenario is a mapping", id="shape"),
        pytest.param("name: [", "expected", id="no-yaml"),
    ],
)
def test_what_is_wrong(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")

    with pytest.raises(ValueError, match=re.escape(problem)):
        scenarios_in(path)
