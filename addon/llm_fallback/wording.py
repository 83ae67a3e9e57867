"""How names, numbers and moments are written for people. Pure."""

import difflib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from itertools import islice

_MAX_NAMED = 10


def printable(text: str) -> str:
    """The text as it can be shown and saved: what no terminal should get is escaped, as is what is no text.

    A client can put any bytes into its request, and JSON can hold halves of characters.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def some_of(names: Collection[str]) -> str:
    """The names, as many as a sentence holds."""
    named = ", ".join(islice(names, _MAX_NAMED))
    return named if len(names) <= _MAX_NAMED else f"{named} and {len(names) - _MAX_NAMED} more"


def counted(number: int, what: str, many: str | None = None) -> str:
    """`1 file`, `2 files`; `many` is the plural that has no `s` at its end."""
    return f"{number} {what if number == 1 else many or what + 's'}"


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The nearest of a few names, if one is near; `cutoff` says how near, up to 1."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`did you mean ...?` with the nearest of a few names, or nothing."""
    close = nearest(name, known, cutoff=cutoff)
    return f"did you mean {close}?" if close else ""


def moment(seconds: float) -> str:
    """A moment in UTC to the millisecond (RFC 3339), as Envoy writes it; from seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
