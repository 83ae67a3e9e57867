"""Bodies without the credentials that they repeat, however they are compressed."""

import zlib
from collections.abc import Callable, Iterator
from io import BytesIO

import brotli  # type: ignore[import-untyped]
import zstandard
from mitmproxy.net import encoding

from llm_fallback.echoes import Echoes

MAX_DECODED_BYTES = 4 * 1024 * 1024
"""How much is searched of an answer that is compressed, and kept of one that is larger."""

_STEP = 1024 * 1024
_PLAIN = frozenset({"", "identity", "none"})


def without(echoes: Echoes, body: bytes, content_encoding: str, *, limit: int = MAX_DECODED_BYTES) -> bytes:
    """A body without them; the beginning of one that is larger than the limit.

    Nothing is left of one that is compressed in a way that others might undo, and we do not.
    """
    name = content_encoding.strip().lower().removeprefix("x-")
    if echoes.are_none:
        return body
    if name in _PLAIN:
        return echoes.cut_out(body)
    decoder = _DECODERS.get(name)
    if decoder is None:
        return b""
    decoded = _bounded(decoder(body), limit)
    shown = echoes.cut_out(decoded[:limit])
    return echoes.cut_out(body) if shown == decoded else encoding.encode(shown, name)


def _bounded(pieces: Iterator[bytes], limit: int) -> bytes:
    """What is decoded, as far as that goes, to one piece more than is kept."""
    decoded = bytearray()
    try:
        for piece in pieces:
            decoded += piece
            if len(decoded) > limit:
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
