"""What a conversation is made of, whatever the API: messages of pieces."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a piece of a message is."""

    TEXT = "text"
    THINKING = "thinking"
    REFUSAL = "refusal"
    CALL = "call"
    """A tool is called; the text is the arguments."""
    RESULT = "result"
    """What a tool answered."""
    OTHER = "other"
    """A file or what is not known, already described."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a message; `name` and `id` are those of a tool and its call."""

    kind: Kind
    text: str
    name: str = ""
    id: str = ""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody says; `note` is what else there is to know of it, for its title."""

    role: str
    pieces: tuple[Piece, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Error:
    """An error as the provider tells it; `details` are whatever else it says, in one line."""

    message: str
    kind: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, as far as it is there. `api` is the word for the kind of request that it answers.

    `finish` is why it ends, empty for several choices, which have their own. `notes` come below all else.
    """

    api: str
    model: str = ""
    choices: tuple[Message, ...] = ()
    finish: str = ""
    usage: str = ""
    errors: tuple[Error, ...] = ()
    notes: Sequence[str] = field(default=())
