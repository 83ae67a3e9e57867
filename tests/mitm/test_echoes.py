"""Credentials that an answer repeats are not shown, however it is packed; all else is as it came."""

import gzip
import zlib

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from mitmproxy.net import encoding
from pydantic import SecretStr

from llm_fallback.messages import Outgoing
from llm_fallback.mitm import echoes
from llm_fallback.mitm.echoes import Echoes
from llm_fallback.resources.base import Expanded
from tests.support.secret import inflated

OWN, COOKIE, BEARER, IN_QUERY, HEADER = (
    "sk-of-the-provider",
    "session-of-the-client",
    "bearer-of-the-client",
    "key/of the query",
    "from-a-variable",
)
SENT = Outgoing(
    "POST",
    "/v1?api-key=key%2Fof%20the%20query&page=a-page-that-is-long",
    (
        ("Authorization", f"Bearer {BEARER}"),
        ("Cookie", f"theme=dark; id={COOKIE}"),
        ("X-Tenant", Expanded(HEADER)),
        ("X-Plain", "what-anybody-may-read"),
    ),
    b"",
    SecretStr(OWN),
)
PLAIN = b'{"error": "what-anybody-may-read, a-page-that-is-long"}'
SECRETS = (OWN, COOKIE, BEARER, IN_QUERY, "key%2Fof%20the%20query", HEADER)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("packing", ["", "identity", "gzip", "x-gzip", "GZIP ", "deflate", "br", "zstd"])
def test_a_body_that_repeats_one(secret: str, packing: str) -> None:
    """It is still packed as its header says."""
    name = packing.strip().lower().removeprefix("x-") or "identity"
    packed = encoding.encode(f'{{"error": "bad key {secret}"}}'.encode(), name)
    assert isinstance(packed, bytes)
    shown = Echoes([SENT]).body(packed, packing)
    assert encoding.decode(shown, name) == b'{"error": "bad key [redacted]"}'


@pytest.mark.parametrize("packing", ["identity", "gzip", "deflate", "br", "zstd", "unknown"])
def test_a_body_that_repeats_none(packing: str) -> None:
    """Is as it came, to the byte."""
    packed = PLAIN if packing == "unknown" else encoding.encode(PLAIN, packing)
    assert isinstance(packed, bytes)
    assert Echoes([SENT]).body(packed, packing) is packed


@pytest.mark.parametrize(
    ("packing", "packed"),
    [
        ("deflate", zlib.compressobj(wbits=-15)),
        ("gzip", zlib.compressobj(wbits=31)),
    ],
)
def test_a_cut_body(packing: str, packed: "zlib._Compress") -> None:
    """What can be read of it is searched."""
    content = packed.compress(f"bad key {OWN}, ".encode()) + packed.flush(zlib.Z_SYNC_FLUSH)
    shown = Echoes([SENT]).body(content, packing)
    assert encoding.decode(shown, packing) == b"bad key [redacted], "


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_not_packed(packing: str) -> None:
    """It was said to be."""
    assert OWN.encode() not in Echoes([SENT]).body(f"bad key {OWN}".encode(), packing)


@pytest.mark.parametrize("pack", [gzip.compress, brotli.compress, zstandard.compress])
def test_a_bomb(pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown is bounded, and nothing is hidden behind the bound."""
    monkeypatch.setattr(echoes, "MAX_DECODED_BYTES", 1024 * 1024)
    name = {gzip.compress: "gzip", brotli.compress: "br", zstandard.compress: "zstd"}[pack]
    packed = encoding.encode(bytes(5 * 1024 * 1024) + OWN.encode(), name)
    assert isinstance(packed, bytes)
    shown = Echoes([SENT]).body(packed, name)
    assert encoding.decode(shown, name) == bytes(1024 * 1024)
    assert OWN.encode() not in inflated(shown)


def test_headers() -> None:
    """In names and values; those without are not touched."""
    fields = ((b"x-debug", f"you sent {OWN}".encode()), (OWN.encode(), b"1"), (b"x-other", b"plain"))
    hidden = ((b"x-debug", b"you sent [redacted]"), (b"[redacted]", b"1"), (b"x-other", b"plain"))
    harmless = ((b"x-debug", b"what-anybody-may-read"),)

    assert Echoes([SENT]).fields(fields) == hidden
    assert Echoes([SENT]).fields(harmless) is harmless


def test_what_is_too_short() -> None:
    """Would be found in many a word."""
    sent = Outgoing("POST", "/?key=a", (("Authorization", "Bearer EMPTY"),), b"", SecretStr("none"))
    assert Echoes([sent]).without(b"none is EMPTY") == b"none is EMPTY"
