"""Comparisons of texts, and RE2's syntax."""

from typing import Any

import pytest
from pydantic import ValidationError

from llm_fallback.resources.base import Expanded
from llm_fallback.resources.stringmatch import PresenceMatch, StringMatch, UriMatch, compile_regex


@pytest.mark.parametrize("written", [{}, {"exact": ""}, {"prefix": "a"}, {"regex": "(?i)a.*"}])
def test_comparisons(written: dict[str, str]) -> None:
    """At most one of three, and what is written is kept."""
    assert StringMatch.model_validate(written).model_dump(exclude_unset=True) == written


@pytest.mark.parametrize(
    "written",
    [
        {"exact": "a", "prefix": "a"},
        {"prefix": ""},
        {"regex": ""},
        {"regex": "*"},
        {"regex": "a("},
        {"regex": r"(a)\1"},
        {"regex": "(?!a)"},
        {"regex": "a" * 1025},
        {"suffix": "a"},
        None,
        "a",
    ],
)
def test_what_is_no_comparison(written: Any) -> None:
    """Neither two at once nor another language's regex."""
    with pytest.raises(ValidationError):
        StringMatch.model_validate(written)


def test_paths_may_have_an_empty_prefix() -> None:
    """It is every path's."""
    assert UriMatch.model_validate({"prefix": ""}).prefix == ""


def test_a_star_asks_for_presence() -> None:
    """Where headers are to be absent."""
    assert PresenceMatch.model_validate({"regex": "*"}).regex == "*"


def test_a_regex_from_the_environment_is_not_shown() -> None:
    """Not even the part that is wrong."""
    with pytest.raises(ValidationError, match="not a regex") as caught:
        StringMatch.model_validate({"regex": Expanded("s3cret(")})

    assert "s3cret" not in str(caught.value)


def test_nothing_is_written_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """RE2 would."""
    with pytest.raises(Exception, match="missing"):
        compile_regex("a(")

    assert capfd.readouterr() == ("", "")
