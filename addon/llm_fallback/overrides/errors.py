"""What is said of an action that cannot be."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice

_MAX_NAMED = 10
_LONGEST_NAME = 300  # a host has 253 characters at most


class BadActionError(ValueError):
    """An action that cannot be: one sentence that says what is wrong and, where it helps, what there is."""


def some_of(names: Collection[str]) -> str:
    """The names, as many as a sentence holds."""
    named = ", ".join(islice(names, _MAX_NAMED))
    return named if len(names) <= _MAX_NAMED else f"{named} and {len(names) - _MAX_NAMED} more"


def near(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was probably meant; empty if there is none."""
    if len(name) > _LONGEST_NAME:
        return ""  # to compare it takes long
    known = list(names)
    beginning = [each for each in known if name and each.startswith(name)]
    found = beginning[:1] or get_close_matches(name, known, n=1)
    return f" (did you mean {found[0]}?)" if found else ""
