"""How a conversation looks: a first line that sums it up, and a block for everybody who says something."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from llm_fallback.conversation.pieces import Answer, Error, Kind, Message, Piece
from llm_fallback.conversation.values import one_line, without_data

_BLOCK = "── "
_NOTHING = "[nothing]"


def block(title: str, content: str) -> str:
    """A titled block; no line of its content can pass for a title."""
    lines = without_data(content).rstrip().split("\n")
    shown = "\n".join(f" {line}" if line.startswith(_BLOCK[:-1]) else line for line in lines)
    return f"{_BLOCK}{one_line(title)}\n{shown or _NOTHING}"


def page(parts: Iterable[str]) -> str:
    """The parts that say something, with an empty line between them; fit for any terminal and file."""
    whole = "\n\n".join(part for part in parts if part) + "\n"
    return whole.encode(errors="replace").decode()  # JSON can hold half characters, which nothing can print


def messages(conversation: Sequence[Message]) -> Iterator[str]:
    """The blocks of a conversation; results of tools are told by the name of the tool that was called."""
    tools = {
        piece.id: piece.name
        for message in conversation
        for piece in message.pieces
        if piece.id and piece.name
    }
    for message in conversation:
        role = one_line(message.role)
        for is_thinking, group in groupby(message.pieces, lambda piece: piece.kind is Kind.THINKING):
            title = _joined(role, "thinking" if is_thinking else message.note)
            yield block(title, "\n".join(_piece(piece, tools) for piece in group))
        if not message.pieces:
            yield block(_joined(role, message.note), "")


def answer(seen: Answer, timing: str = "") -> str:
    """The page of an answer."""
    if seen.errors and not seen.choices and not seen.model:
        summary = ""
    else:
        facts = _joined(seen.model, seen.usage, seen.finish)
        summary = f"{seen.api} answer: {facts or 'it says nothing of itself'}"
    top = "\n".join(line for line in (summary, timing) if line)
    return page([top, *messages(seen.choices), *map(_error, seen.errors), "\n".join(seen.notes)])


def _error(error: Error) -> str:
    first = "error: " + _joined(error.kind, error.details) if error.kind or error.details else "error"
    return block(first, error.message) if error.message else f"{_BLOCK}{first}"


def _piece(piece: Piece, tools: dict[str, str]) -> str:
    call = f" [{one_line(piece.id)}]" if piece.id else ""
    match piece.kind:
        case Kind.CALL:
            return f"→ {one_line(piece.name) or 'a tool'}{call} {piece.text}".rstrip()
        case Kind.RESULT:
            name = one_line(piece.name or tools.get(piece.id, "")) or "a tool"
            return f"← {name}{call}{' failed' if piece.has_failed else ''}\n{piece.text or _NOTHING}"
        case Kind.REFUSAL:
            return f"[refuses] {piece.text}"
        case _:
            return piece.text


def _joined(*words: str) -> str:
    return ", ".join(word for word in words if word)
