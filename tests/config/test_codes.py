"""Every code is explained in docs/findings.md."""

import re
from pathlib import Path

import pytest

from llm_fallback.config.findings import Code

DOCUMENT = (Path(__file__).parents[2] / "docs" / "findings.md").read_text()
SECTIONS = re.findall(r"^### (.+)\n(Error|Warning|Info)\b.+\n```\n(.+)\n```\n", DOCUMENT, re.MULTILINE)


def test_every_code_is_explained_once() -> None:
    """With a heading, how serious it is, and an example."""
    assert re.findall(r"^### (.+)$", DOCUMENT, re.MULTILINE) == [code for code, _, _ in SECTIONS]
    assert sorted(code for code, _, _ in SECTIONS) == sorted(Code)


@pytest.mark.parametrize(("code", "severity", "example"), SECTIONS)
def test_examples_look_like_findings(code: str, severity: str, example: str) -> None:
    """`file:line: warning: Kind/name: field: problem (hint) [code]`, and an error without such a word."""
    word = "" if severity == "Error" else f": {severity.lower()}"
    assert re.fullmatch(rf"[\w./]+(:\d+)?{word}(: \w+/[\w.-]+: [\w.\[\]]+)?: .+ \[{code}\]", example)
