"""Answers as they come off a connection, whole or malformed, in whatever pieces."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_fallback.upstream.protocol import Protocol

CHUNKED, FIVE, GZIP = "transfer-encoding: chunked", "content-length: 5", "content-encoding: gzip"
GOOD = b"5\r\nhello\r\n"
LAST = b"0\r\n\r\n"


def answer(*fields: str, status: int = 200) -> bytes:
    """The head of an answer."""
    return "\r\n".join((f"HTTP/1.1 {status} OK", *fields, "", "")).encode()


@dataclass(frozen=True)
class Read:
    """What comes of an answer: its statuses, its body, and how that ended, if it did.

    `is_usable`: the connection can serve another request.
    """

    statuses: tuple[int, ...]
    body: bytes = b""
    is_broken: bool = False
    is_whole: bool = False
    is_usable: bool = False


class Wire(asyncio.Transport):
    """A connection that only knows whether it has been closed."""

    is_closed = False

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def read(*pieces: bytes) -> Read:
    """Let the pieces in one by one, as far as the connection stays open, and read what there is then."""

    async def main() -> Read:
        protocol, wire = Protocol(asyncio.get_running_loop()), Wire()
        protocol.connection_made(wire)
        protocol.set_response_params(auto_decompress=False, read_until_eof=True)
        for piece in pieces:
            if not wire.is_closed:
                protocol.data_received(piece)
        statuses: list[int] = []
        while protocol._buffer:
            message, body = await protocol.read()
            statuses.append(message.code)
            if message.code >= 200:
                return Read(
                    tuple(statuses),
                    b"".join(getattr(body, "_buffer", ())),
                    is_broken=body.exception() is not None,
                    is_whole=body.is_eof(),
                    is_usable=not (protocol.should_close or wire.is_closed),
                )
        return Read(tuple(statuses), is_broken=protocol.exception() is not None)

    return asyncio.run(main())


def broken(body: bytes = b"hello") -> Read:
    return Read((200,), body, is_broken=True)


def whole(*statuses: int, body: bytes = b"hello", is_usable: bool = False) -> Read:
    return Read(statuses or (200,), body, is_whole=True, is_usable=is_usable)


CASES = [
    pytest.param(answer(CHUNKED) + GOOD + LAST, whole(is_usable=True), id="chunked"),
    pytest.param(answer(CHUNKED) + GOOD, Read((200,), b"hello"), id="a-chunk-to-come"),
    pytest.param(answer(CHUNKED) + GOOD + b"0\r\nx-a: b\r\n\r\n", whole(is_usable=True), id="a-trailer"),
    pytest.param(answer(CHUNKED) + b"ZZ\r\nhello\r\n", broken(b""), id="no-size-at-all"),
    pytest.param(answer(CHUNKED) + GOOD + b"ZZ\r\nhello\r\n", broken(), id="no-size"),
    pytest.param(answer(CHUNKED) + GOOD + b"-5\r\nhello\r\n", broken(), id="a-size-below-zero"),
    pytest.param(answer(CHUNKED) + GOOD + b"f" * 17 + b"\r\nhello", broken(), id="a-size-beyond-numbers"),
    pytest.param(answer(CHUNKED) + b"5\r\nhelloXXXX\r\n", broken(), id="longer-than-its-size"),
    pytest.param(answer(CHUNKED) + GOOD + b"5\nhello\n0\n\n", broken(), id="bare-line-feeds"),
    pytest.param(answer(CHUNKED) + GOOD + b"0\r\nno trailer\r\n\r\n", broken(), id="no-trailer"),
    pytest.param(answer(CHUNKED) + GOOD + LAST + b"more", whole(), id="more-than-the-chunks"),
    pytest.param(answer(FIVE) + b"hello", whole(is_usable=True), id="length"),
    pytest.param(answer(FIVE) + b"hellomore", whole(), id="more-than-the-length"),
    pytest.param(answer(FIVE) + b"hello" + answer(FIVE) + b"again", whole(), id="two-answers"),
    pytest.param(answer(FIVE) + b"hell", Read((200,), b"hell"), id="the-last-byte-to-come"),
    pytest.param(answer(FIVE, GZIP) + b"hello", whole(is_usable=True), id="not-what-its-coding-says"),
    pytest.param(answer(status=204) + b"hello", whole(204, body=b""), id="a-body-that-there-is-not"),
    pytest.param(answer(FIVE, FIVE) + b"hello", Read((), is_broken=True), id="two-lengths"),
    pytest.param(answer("no field") + b"hello", Read((), is_broken=True), id="no-head"),
    pytest.param(
        answer(status=100) + answer(CHUNKED) + b"ZZ\r\n",
        Read((100, 200), is_broken=True),
        id="a-continue-before",
    ),
]


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_an_answer_in_one_piece(wire: bytes, expected: Read) -> None:
    """What is malformed breaks the body, or keeps the connection from being used again; the rest stands."""
    assert read(wire) == expected


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_an_answer_byte_by_byte(wire: bytes, expected: Read) -> None:
    """The same."""
    assert read(*(wire[n : n + 1] for n in range(len(wire)))) == expected


@pytest.mark.parametrize(("wire", "expected"), CASES)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_an_answer_in_any_pieces(wire: bytes, expected: Read, data: st.DataObject) -> None:
    """The same."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=4)))

    assert read(*(wire[a:b] for a, b in pairwise([0, *cuts, len(wire)]))) == expected


@pytest.mark.parametrize("blank", [b"\r\n\r\n", b"\r\n"])
def test_nothing_but_blank_lines(blank: bytes) -> None:
    """A full piece of them takes no longer than anything else."""
    assert read(blank * 60_000) == Read(())
