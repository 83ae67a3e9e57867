"""Answers that repeat a credential: clients get them as they are, and what is shown of them is without it."""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from urllib.parse import unquote

import brotli  # type: ignore[import-untyped]
import zstandard
from mitmproxy.net import encoding

from llm_fallback.messages import Outgoing
from llm_fallback.redaction import REDACTED, is_credential, name_and_value, query_credentials
from llm_fallback.resources.base import Expanded

MAX_DECODED_BYTES = 16 * 1024 * 1024
"""How much is searched of an answer that is compressed, and kept of one that is larger."""

_STEP = 1024 * 1024
_REDACTED = REDACTED.encode()
_MIN_BYTES = 8  # what is shorter is in many a word, and in nobody's way who wants to guess it
_PART = re.compile(r"[\s;,]+")


type Field = tuple[bytes, bytes]
type Fields = tuple[Field, ...]


class Echoes:
    """The credentials that were sent for one request, to whom it was sent: nobody else can repeat them."""

    def __init__(self, sent: Iterable[Outgoing]) -> None:
        found = {each.encode("utf-8", "surrogateescape") for outgoing in sent for each in _secrets(outgoing)}
        # The longest first: one may be a part of another.
        self._secrets = sorted((each for each in found if len(each) >= _MIN_BYTES), key=len, reverse=True)

    def without(self, content: bytes) -> bytes:
        """The content with a placeholder for each."""
        for secret in self._secrets:
            if secret in content:
                content = content.replace(secret, _REDACTED)
        return content

    def body(self, body: bytes, content_encoding: str) -> bytes:
        """A body without them, however it is compressed; the beginning of one that is too large to search."""
        name = content_encoding.strip().lower().removeprefix("x-")
        decoder = _DECODERS.get(name)
        if decoder is None or not self._secrets:
            return self.without(body)
        decoded = _bounded(decoder(body))
        shown = self.without(decoded[:MAX_DECODED_BYTES])
        return self.without(body) if shown == decoded else encoding.encode(shown, name)

    def fields(self, fields: Fields) -> Fields:
        """Headers without them, in names and values; the very same headers if there are none in them."""
        together = b"\n".join(part for field in fields for part in field)
        if not any(secret in together for secret in self._secrets):
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


def _in_query(path: str) -> Iterator[str]:
    for pair in query_credentials(path):
        _, value = name_and_value(pair)
        yield value
        yield unquote(value)


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
            decoder = zlib.decompressobj(bits)
            try:
                piece = decoder.decompress(body, _STEP)
            except zlib.error:
                continue
            while piece:
                yield piece
                piece = decoder.decompress(decoder.unconsumed_tail, _STEP)
            return

    return inflate


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


_DECODERS = {
    "gzip": _inflate(zlib.MAX_WBITS | 16),
    "deflate": _inflate(zlib.MAX_WBITS, -zlib.MAX_WBITS),
    "br": _brotli,
    "zstd": _zstd,
}
