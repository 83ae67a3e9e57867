"""How names, numbers and moments are written for people."""

import pytest

from llm_fallback.wording import counted, did_you_mean, moment, printable, some_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("übrig: 你好 🙂", "übrig: 你好 🙂", id="any-language"),
        pytest.param("a\x1b[31m\n\u202e", "a\\x1b[31m\\n\\u202e", id="what-a-terminal-acts-upon"),
        pytest.param("\udcff", "\\udcff", id="half-a-character"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("names", "line"),
    [
        pytest.param([], "", id="none"),
        pytest.param(["a.com", "b.com"], "a.com, b.com", id="a-few"),
        pytest.param([str(n) for n in range(10)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9", id="a-line-full"),
        pytest.param([str(n) for n in range(12)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more", id="too-many"),
    ],
)
def test_some_names(names: list[str], line: str) -> None:
    assert some_of(names) == line


def test_counted() -> None:
    """With a plural of its own where an `s` does not make it."""
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert [counted(number, "retry", "retries") for number in (1, 2)] == ["1 retry", "2 retries"]


def test_did_you_mean() -> None:
    """The nearest, if it is near enough."""
    assert did_you_mean("host", ["hosts", "http"]) == "did you mean hosts?"
    assert did_you_mean("host", ["hosts", "http"], cutoff=0.95) == ""
    assert did_you_mean("host", ["tls"]) == ""


def test_a_moment() -> None:
    """As Envoy writes it: with three digits of a second, and a Z."""
    assert moment(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
