"""A bound on names that others choose. Pure."""

from llm_fallback.wording import printable

OTHER = "other"
"""What stands for all names that come after the first MAX_NAMES."""

MAX_NAMES = 100
"""How many models are told apart, for instance: a provider may call its models what it likes."""

_MAX_LENGTH = 200


class Names:
    """The names that are told apart."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        """The name itself, or OTHER if there are too many before it."""
        name = writable(name)
        if name not in self._known:
            if len(self._known) >= MAX_NAMES:
                return OTHER
            self._known.add(name)
        return name

    def keep(self, names: set[str]) -> None:
        """Forget all names but these."""
        self._known &= names


def writable(name: str) -> str:
    """The name, cut if it is long, without what no file can hold and what a terminal would act upon."""
    whole = name[:_MAX_LENGTH].encode(errors="replace").decode()  # halves of surrogate pairs are no text
    return printable(whole)[:_MAX_LENGTH]
