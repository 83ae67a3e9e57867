"""Credentials that an answer repeats are found; how bodies are unpacked for that is in tests/mitm."""

from pydantic import SecretStr

from llm_fallback.echoes import Echoes
from llm_fallback.messages import Outgoing
from llm_fallback.resources.base import Expanded

OWN = "sk-of-the-provider"
SENT = Outgoing("POST", "/v1", (("X-Plain", "what-anybody-may-read"),), b"", SecretStr(OWN))


def test_headers() -> None:
    """In names and values; those without are not touched."""
    fields = ((b"x-debug", f"you sent {OWN}".encode()), (OWN.encode(), b"1"), (b"x-other", b"plain"))
    hidden = ((b"x-debug", b"you sent [redacted]"), (b"redacted", b"1"), (b"x-other", b"plain"))
    harmless = ((b"x-debug", b"what-anybody-may-read"),)

    assert Echoes([SENT]).fields(fields) == hidden
    assert Echoes([SENT]).fields(harmless) is harmless


def test_headers_that_are_still_headers() -> None:
    """mitmproxy would refuse an answer with an odd name, or with an odd length; and what is it to a key?"""
    sent = Outgoing("POST", "/v1", (("Cookie", "a=ratelimit; b=12345678; c=transfer-encoding"),), b"", None)
    fields = (
        (b"x-ratelimit-left", b"12345678"),
        (b"Content-Length", b"12345678"),
        (b"transfer-encoding", b"chunked"),
    )
    shown = ((b"x-redacted-left", b"[redacted]"), *fields[1:])

    assert Echoes([sent]).fields(fields) == shown


def test_more_than_can_be_looked_for() -> None:
    """Nothing is shown; to look for thousands in a large answer would take longer than anybody waits."""
    cookies = "; ".join(f"{n}={n:08}" for n in range(4000))
    echoes = Echoes([Outgoing("POST", "/v1", (("Cookie", cookies),), b"", SecretStr(OWN))])
    fields = ((b"x-other", b"plain"), (OWN.encode(), b"1"), (b"content-length", b"5"))

    assert not echoes.are_none
    assert echoes.without(b"plain") == echoes.cut_out(b"plain") == b"[redacted]"
    assert echoes.without(b"") == b""
    assert echoes.fields(fields) == (
        (b"x-other", b"[redacted]"),
        (b"redacted", b"[redacted]"),
        (b"content-length", b"5"),
    )


def test_a_path_that_came_from_a_variable() -> None:
    """Providers like to say which path they do not know."""
    sent = Outgoing("POST", Expanded("/tenant-4711/v1?page=1"), (), b"", None)
    assert Echoes([sent]).without(b"no /tenant-4711/v1 here") == b"no [redacted] here"


def test_what_is_too_short() -> None:
    """Would be found in many a word."""
    sent = Outgoing("POST", "/?key=a", (("Authorization", "Bearer EMPTY"),), b"", SecretStr("none"))
    assert Echoes([sent]).without(b"none is EMPTY") == b"none is EMPTY"
