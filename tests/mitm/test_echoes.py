"""Credentials that an answer repeats are not shown, however it is packed; all else is as it came."""

import base64
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


@pytest.mark.parametrize("packing", ["identity", "gzip", "deflate", "br", "zstd"])
def test_a_body_that_repeats_none(packing: str) -> None:
    """Is as it came, to the byte."""
    packed = encoding.encode(PLAIN, packing)
    assert isinstance(packed, bytes)
    assert Echoes([SENT]).body(packed, packing) is packed


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
    shown = Echoes([OF_KEY]).body(f'{{"error": "{form}."}}'.encode(), "")

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

    assert encoding.decode(Echoes([OF_KEY]).body(packed, packing), packing) == b"[redacted], and "


def test_a_few_letters_at_the_end() -> None:
    """Are the beginning of anything."""
    assert Echoes([OF_KEY]).body(b"for sk-of/t", "") == b"for sk-of/t"


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
    assert encoding.decode(Echoes([SENT]).body(packed, packing), packing) == b"bad key [redacted]"


@pytest.mark.parametrize(
    "packing", ["deflateraw", "base64", "hex", "bz2", "zlib_codec", "gzip, gzip", "rot13"]
)
def test_a_packing_that_is_not_undone(packing: str) -> None:
    """mitmproxy undoes some of them: nothing of such a body is shown, unless there was nothing to repeat."""
    assert Echoes([SENT]).body(b"anything", packing) == b""
    assert Echoes(()).body(b"anything", packing) == b"anything"


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


def test_a_path_that_came_from_a_variable() -> None:
    """Providers like to say which path they do not know."""
    sent = Outgoing("POST", Expanded("/tenant-4711/v1?page=1"), (), b"", None)
    assert Echoes([sent]).without(b"no /tenant-4711/v1 here") == b"no [redacted] here"


def test_what_is_too_short() -> None:
    """Would be found in many a word."""
    sent = Outgoing("POST", "/?key=a", (("Authorization", "Bearer EMPTY"),), b"", SecretStr("none"))
    assert Echoes([sent]).without(b"none is EMPTY") == b"none is EMPTY"
