"""Names that look like one that was mistyped."""

from collections.abc import Iterable

from llm_fallback import wording

_MOST_WORK = 20_000_000  # compared pairs of characters: about a second


class Names:
    """Known names, and which of them was meant.

    Every answer looks at all of them, so after much work there are no more.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = list(known)
        self._cost = sum(map(len, self._known))
        self._work_left = _MOST_WORK

    def hint(self, name: str, otherwise: str = "") -> str:
        """`did you mean ...?` where a known name is close, else the other hint."""
        cost = self._cost * len(name)
        if cost > self._work_left:
            return otherwise
        self._work_left -= cost
        return did_you_mean(name, self._known) or otherwise


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean ...?` with the nearest of a few names that people gave, or nothing."""
    return wording.did_you_mean(name, known, cutoff=0.8)  # they are more alike than words of an API
