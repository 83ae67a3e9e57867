"""What is said of an action that cannot be."""

from collections.abc import Iterable

from llm_fallback.wording import did_you_mean

_LONGEST_NAME = 300  # a host has 253 characters at most


class BadActionError(ValueError):
    """An action that cannot be: one sentence that says what is wrong and, where it helps, what there is."""


def near(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was probably meant; empty if there is none."""
    if len(name) > _LONGEST_NAME:
        return ""  # to compare it takes long
    known = list(names)
    beginning = [each for each in known if name and each.startswith(name)]
    hint = f"did you mean {beginning[0]}?" if beginning else did_you_mean(name, known)
    return f" ({hint})" if hint else ""
