"""The hash of a request that consistent hashing goes by; the hashes are Envoy's."""

import pytest
from xxhash import xxh64_intdigest

from llm_fallback.balancing import NewCookie, hash_key, new_cookie
from llm_fallback.config.snapshot import HashPolicy, HashSource

HEADER = HashPolicy(HashSource.HEADER, "X-User")
COOKIE = HashPolicy(HashSource.COOKIE, "session", "/chat", 60.0)
QUERY = HashPolicy(HashSource.QUERY_PARAMETER, "user")
SOURCE = HashPolicy(HashSource.SOURCE_IP)


def key(policy: HashPolicy, *headers: tuple[str, str], query: str = "", source: str = "") -> int | None:
    return hash_key(policy, headers=headers, query=query, source_ip=source)


@pytest.mark.parametrize(
    ("policy", "headers", "query", "source", "hashed"),
    [
        pytest.param(HEADER, [("x-user", "me")], "", "", b"me", id="header"),
        pytest.param(HEADER, [("x-user", "")], "", "", b"", id="empty-header"),
        pytest.param(HEADER, [("x-user", "\udcff")], "", "", b"\xff", id="bytes-that-are-not-utf-8"),
        pytest.param(HEADER, [("x-other", "me")], "", "", None, id="no-such-header"),
        pytest.param(COOKIE, [("Cookie", "a=b; session=me; session=x")], "", "", b"me", id="cookie"),
        pytest.param(COOKIE, [("cookie", "a=b"), ("cookie", "session=me")], "", "", b"me", id="2-headers"),
        pytest.param(COOKIE, [("cookie", 'session="me"')], "", "", b"me", id="quoted-cookie"),
        pytest.param(COOKIE, [("cookie", 'session="')], "", "", b'"', id="half-a-pair-of-quotes"),
        pytest.param(COOKIE, [("cookie", "session; a=session")], "", "", None, id="no-such-cookie"),
        pytest.param(COOKIE, [("cookie", "session=")], "", "", None, id="empty-cookie"),
        pytest.param(QUERY, [], "a=b&user=m%20e&user=x", "", b"m%20e", id="parameter-as-it-is-sent"),
        pytest.param(QUERY, [], "user", "", b"", id="parameter-without-a-value"),
        pytest.param(QUERY, [], "a=user", "", None, id="no-such-parameter"),
        pytest.param(SOURCE, [], "", "::1", b"::1", id="source"),
        pytest.param(SOURCE, [], "", "", None, id="no-source"),
    ],
)
def test_what_is_hashed(
    policy: HashPolicy, headers: list[tuple[str, str]], query: str, source: str, hashed: bytes | None
) -> None:
    """What the policy names; nothing if it is not there."""
    expected = None if hashed is None else xxh64_intdigest(hashed)
    assert key(policy, *headers, query=query, source=source) == expected


def test_a_header_that_comes_twice() -> None:
    """In any order: each value's hash seeds that of the next."""
    one, two = ("X-User", "b"), ("x-user", "a")
    assert key(HEADER, one, two) == key(HEADER, two, one) == xxh64_intdigest(b"b", xxh64_intdigest(b"a"))


@pytest.mark.parametrize(
    ("policy", "rest"),
    [
        pytest.param(COOKIE, "; Max-Age=60; Path=/chat", id="path-and-age"),
        pytest.param(HashPolicy(HashSource.COOKIE, "session", "", 0.0), "", id="for-the-session"),
    ],
)
def test_a_cookie_for_a_client_that_has_none(policy: HashPolicy, rest: str) -> None:
    """Its next request, which has the cookie, leads to the same endpoint."""
    made = new_cookie(policy, client="127.0.0.1:5", proxy="127.0.0.1:8080")
    value = f"{xxh64_intdigest(b'127.0.0.1:5127.0.0.1:8080'):016x}"
    assert made == NewCookie(xxh64_intdigest(value.encode()), f'session="{value}"{rest}; HttpOnly')
    assert made.hash_key == key(policy, ("cookie", f'session="{value}"'))


@pytest.mark.parametrize("policy", [HashPolicy(HashSource.COOKIE, "session"), HEADER, QUERY, SOURCE])
def test_no_cookie_is_made(policy: HashPolicy) -> None:
    """Where the policy says nothing of its life."""
    assert new_cookie(policy, client="127.0.0.1:5", proxy="127.0.0.1:8080") is None
