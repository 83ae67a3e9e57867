"""What replaces a path: groups of the regex, by number."""

import pytest
from pydantic import ValidationError

from llm_fallback.resources.httpactions import RegexRewrite


@pytest.mark.parametrize(
    ("match", "rewrite"),
    [
        pytest.param("/a", "/b", id="none"),
        pytest.param("/a", r"\0/b", id="the-whole"),
        pytest.param("(/a)(/b)?", r"\2\1", id="both"),
        pytest.param("(?:/a)(?P<rest>.*)", r"\1", id="by-number-though-it-has-a-name"),
        pytest.param("(/a)", r"\\\1\\1", id="backslashes"),
        pytest.param("(/a)", r"\12", id="one-digit-only"),
    ],
)
def test_references(match: str, rewrite: str) -> None:
    """As RE2 reads them."""
    assert RegexRewrite(match=match, rewrite=rewrite).rewrite == rewrite


@pytest.mark.parametrize(
    ("match", "rewrite", "said"),
    [
        pytest.param("/a", r"\1", r"refers to group \\1, and match has none", id="no-group"),
        pytest.param("(/a)", r"/\1\3", r"refers to group \\3, and match has 1", id="one-group"),
        pytest.param("(?:/a)", r"\1", r"refers to group \\1, and match has none", id="no-capture"),
        pytest.param("(/a)", r"\n", "a backslash stands before the digit of a group", id="escape"),
        pytest.param("(/a)", "/a\\", "a backslash stands before the digit of a group", id="at-the-end"),
        pytest.param("(/a)", "\\\n", "a backslash stands before the digit of a group", id="line-end"),
        pytest.param("(/a)", "\\\u0661", "a backslash stands before the digit", id="another-scripts-digit"),
    ],
)
def test_what_refers_to_nothing(match: str, rewrite: str, said: str) -> None:
    """It would fail, or stand there as it is, with every request."""
    with pytest.raises(ValidationError, match=said) as caught:
        RegexRewrite(match=match, rewrite=rewrite)

    (error,) = caught.value.errors()
    assert error["ctx"]["error"].path == ("rewrite",)
