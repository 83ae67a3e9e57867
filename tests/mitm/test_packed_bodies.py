"""Credentials that an answer repeats are not shown, however it is packed; all else is as it came."""

import base64
import gzip
import zlib

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from mitmproxy.net import encoding
from pydantic import SecretStr

from llm_fallback.echoes import Echoes
from llm_fallback.messages import Outgoing
from llm_fallback.mitm.packed_bodies import without
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
    shown = without(Echoes([SENT]), packed, packing)
    assert encoding.decode(shown, name) == b'{"error": "bad key [redacted]"}'


@pytest.mark.parametrize("packing", ["identity", "gzip", "deflate", "br", "zstd"])
def test_a_body_that_repeats_none(packing: str) -> None:
    """Is as it came, to the byte."""
    packed = encoding.encode(PLAIN, packing)
    assert isinstance(packed, bytes)
    assert without(Echoes([SENT]), packed, packing) is packed


KEY = "sk-of/the+provider"
OF_KEY = Outgoing("POST", "/v1", (), b"", SecretStr(KEY))


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(KEY.replace("/", "\\/"), id="php"),
        pytest.param(KEY.replace("+", "\\u002b"), id="dot-net"),
        pytest.param(KEY.replace("+", "\\u002B").replace("/", "\\u002F"), id="all-but-a-hyphen"),
        pytest.param(
            KEY.replace("+", "\\u002b").replace("/", "\\u002f").replace("-", "\\u002d"), id="all-marks"
        ),
        pytest.param("sk-of%2Fthe%2Bprovider", id="in-a-url"),
        pytest.param("sk-of%2fthe%2bprovider", id="in-a-url-in-lower-case"),
        pytest.param("sk%2Dof%2Fthe%2Bprovider", id="all-marks-in-a-url"),
        pytest.param(base64.b64encode(KEY.encode()).decode(), id="base64"),
        pytest.param(
            base64.urlsafe_b64encode(b"Bearer " + KEY.encode()).decode().rstrip("="), id="the-header"
        ),
        pytest.param(base64.b64encode(f"{KEY}:x".encode()).decode(), id="as-the-name-of-basic"),
    ],
)
def test_other_ways_to_write_it(form: str) -> None:
    """A key is escaped in JSON and in URLs, and a header may be repeated in base64."""
    shown = without(Echoes([OF_KEY]), f'{{"error": "{form}."}}'.encode(), "")

    assert b"[redacted]" in shown
    assert form[:-6].encode() not in shown


@pytest.mark.parametrize("cut", range(1, 11))
@pytest.mark.parametrize(
    "form", [KEY, KEY.replace("-", "\\u002d").replace("/", "\\u002f").replace("+", "\\u002b")]
)
@pytest.mark.parametrize("packing", ["identity", "gzip", "br", "zstd"])
def test_the_beginning_of_one_at_the_end(form: str, cut: int, packing: str) -> None:
    """Only the beginning of a long answer is kept; nobody should know a key but for its last characters."""
    packed = encoding.encode(f"{KEY}, and {form[:-cut]}".encode(), packing)
    assert isinstance(packed, bytes)

    assert encoding.decode(without(Echoes([OF_KEY]), packed, packing), packing) == b"[redacted], and "


def test_a_few_letters_at_the_end() -> None:
    """Are the beginning of anything."""
    assert without(Echoes([OF_KEY]), b"for sk-of/t", "") == b"for sk-of/t"


@pytest.mark.parametrize(
    ("packing", "packed"),
    [
        pytest.param("gzip", gzip.compress(b"bad ") + gzip.compress(f"key {OWN}".encode()), id="two-members"),
        pytest.param("gzip", zlib.compress(f"bad key {OWN}".encode()), id="zlib-by-the-name-of-gzip"),
        pytest.param("deflate", gzip.compress(f"bad key {OWN}".encode()), id="and-the-other-way-round"),
    ],
)
def test_what_mitmproxy_reads_all_the_same(packing: str, packed: bytes) -> None:
    """It is searched as well."""
    assert encoding.decode(without(Echoes([SENT]), packed, packing), packing) == b"bad key [redacted]"


@pytest.mark.parametrize(
    "packing", ["deflateraw", "base64", "hex", "bz2", "zlib_codec", "gzip, gzip", "rot13"]
)
def test_a_packing_that_is_not_undone(packing: str) -> None:
    """mitmproxy undoes some of them: nothing of such a body is shown, unless there was nothing to repeat."""
    assert without(Echoes([SENT]), b"anything", packing) == b""
    assert without(Echoes(()), b"anything", packing) == b"anything"


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
    shown = without(Echoes([SENT]), content, packing)
    assert encoding.decode(shown, packing) == b"bad key [redacted], "


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_not_packed(packing: str) -> None:
    """It was said to be."""
    assert OWN.encode() not in without(Echoes([SENT]), f"bad key {OWN}".encode(), packing)


@pytest.mark.parametrize("pack", [gzip.compress, brotli.compress, zstandard.compress])
def test_a_bomb(pack: object) -> None:
    """What is shown is bounded, and nothing is hidden behind the bound."""
    name = {gzip.compress: "gzip", brotli.compress: "br", zstandard.compress: "zstd"}[pack]
    packed = encoding.encode(bytes(5 * 1024 * 1024) + OWN.encode(), name)
    assert isinstance(packed, bytes)
    shown = without(Echoes([SENT]), packed, name, limit=1024 * 1024)
    assert encoding.decode(shown, name) == bytes(1024 * 1024)
    assert OWN.encode() not in inflated(shown)
