"""`${NAME}` in values: the environment's, or a finding."""

import pytest

from llm_fallback.config.documents import Document, expand, parse
from llm_fallback.config.findings import Finding
from llm_fallback.resources.base import Expanded


def expanded(text: str, **environment: str) -> tuple[object, list[Finding]]:
    (document,) = parse("a.yaml", text.encode()).documents
    result, findings = expand(document, environment)
    assert isinstance(result, Document)
    return result.value, findings


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("${A}", "1", id="whole"),
        pytest.param("x-${A}-${A}/${_b2}", "x-1-1/two words", id="within"),
        pytest.param("$A", "$A", id="no-braces-no-variable"),
        pytest.param("$", "$", id="a-dollar"),
        pytest.param("{A}", "{A}", id="no-dollar"),
    ],
)
def test_variables(written: str, value: str) -> None:
    """`${NAME}` anywhere in a value, at any depth, is the environment's."""
    result, findings = expanded(f"a: ['{written}', {{b: '{written}'}}]", A="1", _b2="two words")

    assert (result, findings) == ({"a": [value, {"b": value}]}, [])


def test_a_value_with_a_reference_in_it_is_not_expanded_again() -> None:
    """The environment's text is data."""
    assert expanded("a: ${A}", A="${B}", B="x") == ({"a": "${B}"}, [])


def test_what_came_from_the_environment_is_marked() -> None:
    """So that it is never shown, and may be a number; what was written is not."""
    result, _ = expanded("a: ${A}\nb: text", A="1")

    assert isinstance(result, dict)
    assert {key: type(value) for key, value in result.items()} == {"a": Expanded, "b": str}


NO_REFERENCE = (
    "a.yaml:2: ?/?: b: not a reference to an environment variable"
    " (write ${NAME}, with letters, digits and underscores in the name) [invalid-variable]"
)


def missing(name: str, state: str) -> str:
    return (
        f"a.yaml:2: ?/?: b: environment variable {name} {state}"
        f" (export {name}=... before starting, or write the value here) [missing-variable]"
    )


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        pytest.param("${A}", [missing("A", "is not set")], id="not-set"),
        pytest.param("${EMPTY}", [missing("EMPTY", "is empty")], id="empty"),
        pytest.param(
            "${SET}${A}${B}", [missing("A", "is not set"), missing("B", "is not set")], id="each-of-several"
        ),
        pytest.param("${my-key}", [NO_REFERENCE], id="hyphen"),
        pytest.param("${}", [NO_REFERENCE], id="no-name"),
        pytest.param("${SET", [NO_REFERENCE], id="not-closed"),
        pytest.param("${ SET }", [NO_REFERENCE], id="spaces"),
    ],
)
def test_bad_references(written: str, lines: list[str]) -> None:
    """Each is named, with its line and without any value; none is sent as it is written."""
    _, findings = expanded(f"a: 1\nb: '{written}'", SET="s3cret", EMPTY="")

    assert [str(finding) for finding in findings] == lines
