"""Answers that repeat a credential: clients get them as they are, and what is shown of them is without it.

A credential is found as it was sent, in the escapes of JSON and of URLs, and where a base64 text begins with
it. It is not found where it is taken apart, or packed into something else.
"""

import json
import re
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from urllib.parse import unquote

import brotli  # type: ignore[import-untyped]
import zstandard
from mitmproxy.net import encoding

from llm_fallback.messages import Outgoing
from llm_fallback.redaction import REDACTED, is_credential, name_and_value, query_credentials
from llm_fallback.resources.base import Expanded

MAX_DECODED_BYTES = 4 * 1024 * 1024
"""How much is searched of an answer that is compressed, and kept of one that is larger."""

_STEP = 1024 * 1024
_REDACTED = REDACTED.encode()
_MIN_BYTES = 8  # what is shorter is in many a word, and in nobody's way who wants to guess it
_PART = re.compile(r"[\s;,]+")
_PLAIN = frozenset({"", "identity", "none"})
# Which bytes are escaped, and how, differs: some escape a few marks only, some all of them.
_MARKS = tuple(map(re.compile, (rb"[^A-Za-z0-9]", rb"[^A-Za-z0-9._~-]", rb"[^A-Za-z0-9._~/-]")))
_ESCAPES = b"\\u%04x", b"\\u%04X", b"%%%02x", b"%%%02X"


type Field = tuple[bytes, bytes]
type Fields = tuple[Field, ...]


class Echoes:
    """The credentials that were sent for one request, to whom it was sent: nobody else can repeat them."""

    def __init__(self, sent: Iterable[Outgoing]) -> None:
        found = {each.encode("utf-8", "surrogateescape") for outgoing in sent for each in _secrets(outgoing)}
        forms = {form for each in found if len(each) >= _MIN_BYTES for form in _forms(each)}
        # The longest first: one may be a part of another.
        self._forms = sorted((each for each in forms if len(each) >= _MIN_BYTES), key=len, reverse=True)

    def without(self, content: bytes) -> bytes:
        """The content with a placeholder for each."""
        for form in self._forms:
            if form in content:
                content = content.replace(form, _REDACTED)
        return content

    def body(self, body: bytes, content_encoding: str) -> bytes:
        """A body without them, however it is compressed; the beginning of one that is too large to search.

        Nothing is left of one that is compressed in a way that others might undo, and we do not.
        """
        name = content_encoding.strip().lower().removeprefix("x-")
        if not self._forms:
            return body
        if name in _PLAIN:
            return self._cut(self.without(body))
        decoder = _DECODERS.get(name)
        if decoder is None:
            return b""
        decoded = _bounded(decoder(body))
        shown = self._cut(self.without(decoded[:MAX_DECODED_BYTES]))
        return self._cut(self.without(body)) if shown == decoded else encoding.encode(shown, name)

    def _cut(self, content: bytes) -> bytes:
        """The content without the beginning of a credential at its end, where the rest of it was cut off."""
        for form in self._forms:
            start = max(0, len(content) - len(form) + 1)
            while (start := content.find(form[:_MIN_BYTES], start)) >= 0:
                if form.startswith(content[start:]):
                    content = content[:start]
                    break
                start += 1
        return content

    def fields(self, fields: Fields) -> Fields:
        """Headers without them, in names and values; the very same headers if there are none in them."""
        together = b"\n".join(part for field in fields for part in field)
        if not any(form in together for form in self._forms):
            return fields
        return tuple((self.without(name), self.without(value)) for name, value in fields)


def _secrets(outgoing: Outgoing) -> Iterator[str]:
    if outgoing.api_key:
        yield outgoing.api_key.get_secret_value()
    for name, value in outgoing.headers:
        if isinstance(value, Expanded) or is_credential(name):
            yield value
            for part in _PART.split(value):  # the key after its scheme; each of the cookies
                yield part
                yield part.partition("=")[2]
        else:
            yield from _in_query(value)
    yield from _in_query(outgoing.path)
    if isinstance(outgoing.path, Expanded):
        yield outgoing.path.partition("?")[0]


def _in_query(path: str) -> Iterator[str]:
    for pair in query_credentials(path):
        _, value = name_and_value(pair)
        yield value
        yield unquote(value)


def _forms(secret: bytes) -> Iterator[bytes]:
    """The ways in which an answer may write it; in base64, what is not shared with what follows."""
    yield secret
    for text in (secret, b"Bearer " + secret):
        whole = text[: len(text) // 3 * 3]
        yield b64encode(whole)
        yield urlsafe_b64encode(whole)
    if secret.isalnum():
        return  # there is nothing in it to be escaped
    as_json = json.dumps(secret.decode(errors="replace"))[1:-1].encode()
    yield as_json
    yield as_json.replace(b"/", rb"\/")
    for marks in _MARKS:
        for escape in _ESCAPES:
            yield marks.sub(partial(_escaped, escape), secret)


def _escaped(escape: bytes, mark: re.Match[bytes]) -> bytes:
    return escape % mark[0][0]


def _bounded(pieces: Iterator[bytes]) -> bytes:
    """What is decoded, as far as that goes, to one piece more than is kept."""
    decoded = bytearray()
    try:
        for piece in pieces:
            decoded += piece
            if len(decoded) > MAX_DECODED_BYTES:
                break
    except (zlib.error, brotli.error, zstandard.ZstdError):
        pass  # nobody else can read on, either
    return bytes(decoded)


def _inflate(*window_bits: int) -> Callable[[bytes], Iterator[bytes]]:
    def inflate(body: bytes) -> Iterator[bytes]:
        for bits in window_bits:
            try:
                zlib.decompressobj(bits).decompress(body, 1)
            except zlib.error:
                continue
            yield from _members(body, bits)
            return

    return inflate


def _members(body: bytes, bits: int) -> Iterator[bytes]:
    """What a body holds: gzip allows several of its files in a row."""
    while body:
        decoder = zlib.decompressobj(bits)
        piece = decoder.decompress(body, _STEP)
        while piece:
            yield piece
            piece = decoder.decompress(decoder.unconsumed_tail, _STEP)
        body = decoder.unused_data


def _brotli(body: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    try:
        piece = decoder.process(body, output_buffer_limit=_STEP)
    except TypeError:  # before 1.2, it knows no bounds
        yield decoder.process(body)
        return
    while piece:
        yield piece
        piece = decoder.process(b"", output_buffer_limit=_STEP)


def _zstd(body: bytes) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor().stream_reader(BytesIO(body), read_across_frames=True)
    while piece := reader.read(_STEP):
        yield piece


_ANY_HEADER = zlib.MAX_WBITS | 32  # gzip's or zlib's: mitmproxy does not care, either, which of them it is
_DECODERS = {
    "gzip": _inflate(_ANY_HEADER),
    "deflate": _inflate(_ANY_HEADER, -zlib.MAX_WBITS),
    "br": _brotli,
    "zstd": _zstd,
}
