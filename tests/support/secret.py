"""Keys that a failing test does not print."""

import gzip
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from standin import Seen
from tests.support.provider import Request


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A credential; its representation is its name."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def is_bearer_of(self, seen: Seen | Request) -> bool:
        """Whether the request carries this key, and no other, as its Authorization."""
        if isinstance(seen, Seen):
            return seen.headers.getall("Authorization", []) == [f"Bearer {self.value}"]
        return [v for n, v in seen.headers if n.lower() == "authorization"] == [f"Bearer {self.value}"]

    def occurs_in(self, seen: Seen | Request) -> bool:
        """Whether any part of the request holds it."""
        if isinstance(seen, Seen):
            parts = [seen.path, seen.query, *(f"{n}: {v}" for n, v in seen.headers.items())]
            return any(self.value in part for part in parts) or self.value.encode() in seen.body
        return self.value.encode() in seen.raw


def leaks(places: Mapping[str, bytes], secrets: Iterable[Secret]) -> list[str]:
    """Which secrets occur in which places, compressed parts included, by name only."""
    return [
        f"{secret.name} in {place}"
        for place, content in places.items()
        for secret in secrets
        if secret.value.encode() in content
    ]


def inflated(content: bytes) -> bytes:
    """Every gzip and zlib stream that begins somewhere in the content, decompressed."""
    found = bytearray()
    for magic, wbits in ((b"\x1f\x8b\x08", zlib.MAX_WBITS | 16), (b"\x78", zlib.MAX_WBITS)):
        start = content.find(magic)
        while start >= 0:
            found += _inflate(content[start:], wbits)
            start = content.find(magic, start + 1)
    return bytes(found)


def _inflate(content: bytes, wbits: int) -> bytes:
    try:
        return zlib.decompressobj(wbits).decompress(content)
    except (zlib.error, gzip.BadGzipFile):
        return b""
