"""Istio's StringMatch, and regular expressions in RE2's syntax."""

from typing import Annotated, Any, Self

import re2
from pydantic import AfterValidator, Field, model_validator

from llm_fallback.resources.base import KeepsExpanded, Model

_MAX_REGEX = 1024  # Istio's bound; Envoy's is on the size of the compiled program


def _regex(value: str) -> str:
    if not value:
        raise ValueError("an empty regex matches nothing; remove it, or write .*")
    if len(value) > _MAX_REGEX:
        raise ValueError("a regex has at most 1024 characters; shorten it")
    try:
        compile_regex(value)
    except re2.error as error:
        raise ValueError(f"not a regex in RE2's syntax: {_reason(error)}") from None
    return value


def compile_regex(value: str) -> Any:
    """The compiled expression, with `fullmatch` and `sub`.

    Raises re2.error for what is not in RE2's syntax; RE2 itself would write to standard error.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(value, options)


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else b""
    # What follows the colon is the regex, which may have come from the environment.
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).partition(":")[0]


Regex = Annotated[str, AfterValidator(_regex), KeepsExpanded]
"""A regular expression in RE2's syntax, 1 to 1024 characters."""


class UriMatch(Model):
    """How a path compares; a regex matches the whole of it, and an empty prefix is every path's."""

    SHORT_FOR = ("exact", "prefix")

    exact: Annotated[str, KeepsExpanded] | None = None
    prefix: Annotated[str, KeepsExpanded] | None = None
    regex: Regex | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) > 1:
            raise ValueError("has more than one of exact, prefix and regex; keep one of them")
        return self


class StringMatch(UriMatch):
    """How a text compares; without a field, any text that is there."""

    prefix: Annotated[str, Field(min_length=1), KeepsExpanded] | None = None


def _regex_or_star(value: str) -> str:
    return value if value == "*" else _regex(value)


class PresenceMatch(StringMatch):
    """As a StringMatch, and the regex `*` asks for presence only."""

    regex: Annotated[str, AfterValidator(_regex_or_star), KeepsExpanded] | None = None
