"""What findings quote of what is written: no key, whatever field it was put into by mistake. Pure."""

import re
from collections.abc import Iterable
from itertools import pairwise

from llm_fallback.redaction import REDACTED, is_credential, redact_query

_USERINFO = re.compile(r"(?<![^/\s])[^/?#\s@]+@")
# The second is no name, but drawn at random.
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:sk|SK)-[A-Za-z0-9_-]{4,}"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9][A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{20,}"
)
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_WITHOUT_SPACE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):.*", re.DOTALL)
_SECRET_FIELDS = frozenset({"apiKey", "set", "add"})  # the last two are headers: any may hold a key
_CONDITIONS = frozenset({"headers", "withoutHeaders", "queryParams"})  # by the names of what they are on


def quotable(text: str) -> str:
    """The value without the credentials of a URL, and without what looks like a key."""
    return without_keys(redact_query(_USERINFO.sub(f"{REDACTED}@", text)))


def without_keys(text: str) -> str:
    """The text without what looks like a key, in any place."""
    return _KEY.sub(REDACTED, text)


def key_of_mapping(name: str) -> str:
    """A name of anybody's, a header's or a label's, without what was to be its value (`name:value`)."""
    return without_keys(_WITHOUT_SPACE.sub(r"\1", name))


def field_name(name: str) -> str:
    """As much of a name that is none of a field's as looks like one: it may be a key, or end with one."""
    found = _FIELD.match(name)
    return key_of_mapping(found[0]) if found else "?"


def may_hold_secret(path: Iterable[str | int]) -> bool:
    """Whether nothing should be quoted that stands there: a key, a header's value, what a key must be."""
    names = [part for part in path if isinstance(part, str)]
    asked = (name for condition, name in pairwise(names) if condition in _CONDITIONS)
    return not _SECRET_FIELDS.isdisjoint(names) or any(map(is_credential, asked))
