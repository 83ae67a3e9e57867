"""Every code is registered, used, and explained in docs/findings.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_fallback.config.findings import Code

REPOSITORY = Path(__file__).parents[2]
SOURCES = [
    file
    for folder in ("config", "resources")
    for file in (REPOSITORY / "addon/llm_fallback" / folder).rglob("*.py")
]
DOCUMENT = (REPOSITORY / "docs" / "findings.md").read_text()
SECTIONS = re.findall(r"^### (.+)\n(?:Error|Warning|Info)\b.+\n```\n(.+)\n```\n", DOCUMENT, re.MULTILINE)
CODE_ARGUMENT = {"Finding": 6, "finding": 3, "complain": 3, "_Fact": 0}


def codes_in(file: Path) -> Iterator[str]:
    """What is given as a code: an argument in its place, `code = ...`, or the end of a returned triple."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="Code"), attr=name):
                yield Code[name].value
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments) if (
                name in CODE_ARGUMENT
            ):
                yield from _text(arguments[CODE_ARGUMENT[name] :][:1])
            case ast.keyword(arg="code", value=value):
                yield from _text([value])
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                yield from _text([value])
            case ast.Return(value=ast.Tuple(elts=[_, _, code])) if file.name == "validate.py":
                yield from _text([code])


def _text(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_codes_in_the_source_are_the_registered_ones() -> None:
    """None is missing among `Code`, and none is there for nothing."""
    assert {code for file in SOURCES for code in codes_in(file)} == set(Code)


def test_every_code_is_explained_once() -> None:
    """With a heading, how serious it is, and an example."""
    assert re.findall(r"^### (.+)$", DOCUMENT, re.MULTILINE) == [code for code, _ in SECTIONS]
    assert sorted(code for code, _ in SECTIONS) == sorted(Code)


@pytest.mark.parametrize(("code", "example"), SECTIONS)
def test_examples_look_like_findings(code: str, example: str) -> None:
    """`file:line: Kind/name: field: problem (hint) [code]`."""
    assert re.fullmatch(rf"[\w./]+(:\d+)?(: \w+/[\w.-]+: [\w.\[\]]+)?: .+ \[{code}\]", example)
