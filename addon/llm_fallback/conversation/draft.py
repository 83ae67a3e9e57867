"""An answer that is still being written: pieces grow, in the order in which they begin."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm_fallback.conversation.answers import numbered
from llm_fallback.conversation.pieces import Answer, Error, Kind, Message, Piece
from llm_fallback.conversation.usage import usage_text


@dataclass(slots=True)
class _Growing:
    first: Piece
    texts: list[str]

    def piece(self) -> Piece:
        return replace(self.first, text="".join(self.texts))


@dataclass(slots=True)
class Draft:
    """What the events of a stream have said so far. `api` is empty as long as no event was understood."""

    api: str = ""
    model: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    finishes: dict[Hashable, str] = field(default_factory=dict)
    errors: list[Error] = field(default_factory=list)
    is_over: bool = False
    said: int = 0
    """How often anything of any content was said."""
    latest: dict[Hashable, str] = field(default_factory=dict)
    """The id of the call that goes on where a piece of one names none."""
    _choices: dict[Hashable, dict[Hashable, _Growing]] = field(default_factory=dict)

    def say(self, choice: Hashable, part: Hashable, piece: Piece) -> None:
        """Let a part of a choice grow, or begin it."""
        parts = self._choices.setdefault(choice, {})
        growing = parts.get(part)
        if growing is None:
            if not (piece.text or piece.name):
                return
            growing = parts[part] = _Growing(piece, [])
        elif not growing.first.name and piece.name:
            growing.first = replace(growing.first, name=piece.name, id=piece.id or growing.first.id)
        growing.texts.append(piece.text)
        self.said += 1

    def write(self, choice: Hashable, part: Hashable, kind: Kind, text: str) -> None:
        """Let a part that is nothing but text grow."""
        if text:
            self.say(choice, part, Piece(kind, text))

    def has(self, choice: Hashable, part: Hashable) -> bool:
        """Whether the part has begun."""
        return part in self._choices.get(choice, {})

    @property
    def is_finished(self) -> bool:
        """Whether nothing is missing: the stream has said that it is over, or why each choice ends."""
        return self.is_over or (bool(self.finishes) and self._choices.keys() <= self.finishes.keys())

    def answer(self, notes: Sequence[str] = ()) -> Answer:
        """The answer as it stands."""
        keys = [key for key, parts in self._choices.items() if parts] or list(self.finishes)[:1]
        role = "completion" if self.api == "completion" else "assistant"
        choices = [
            Message(role, tuple(g.piece() for g in self._choices.get(key, {}).values())) for key in keys
        ]
        shown, finish = numbered(choices, [self.finishes.get(key, "") for key in keys]) if keys else ((), "")
        usage = usage_text(self.usage)
        return Answer(self.api or "chat", self.model, shown, finish, usage, tuple(self.errors), notes)
