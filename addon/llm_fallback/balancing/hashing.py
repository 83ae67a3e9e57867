"""The hash of a request that consistent hashing goes by, made as Envoy makes it."""

from collections.abc import Iterable
from dataclasses import dataclass

from xxhash import xxh64_intdigest

from llm_fallback.config.snapshot import HashPolicy, HashSource
from llm_fallback.headers import Headers


@dataclass(frozen=True, slots=True)
class NewCookie:
    """A cookie for a client that had none: the hash of its value, and the value of a `Set-Cookie` header."""

    hash_key: int
    header: str


def hash_key(policy: HashPolicy, *, headers: Headers, query: str, source_ip: str | None) -> int | None:
    """The hash of what the policy names; None if the request has no such thing.

    `query` is what follows the `?`, as it was sent.
    """
    match policy.source:
        case HashSource.HEADER:
            values = _values(headers, policy.name)
            return _hash(*sorted(map(_bytes, values))) if values else None
        case HashSource.COOKIE:
            cookie = _cookie(headers, policy.name)
            return _hash(_bytes(cookie)) if cookie else None
        case HashSource.QUERY_PARAMETER:
            parameter = _parameter(query, policy.name)
            return None if parameter is None else _hash(_bytes(parameter))
        case HashSource.SOURCE_IP:
            return _hash(source_ip.encode()) if source_ip else None


def new_cookie(policy: HashPolicy, *, client: str, proxy: str) -> NewCookie | None:
    """The cookie for a request that has none, if the policy makes cookies.

    Its value comes from the two ends of the client's connection, `address:port` each: requests that are made
    at the same time over one connection get the same.
    """
    if policy.source is not HashSource.COOKIE or policy.cookie_ttl_s is None:
        return None
    value = f"{_hash((client + proxy).encode()):016x}"
    header = f'{policy.name}="{value}"'
    if seconds := int(policy.cookie_ttl_s):
        header += f"; Max-Age={seconds}"
    if policy.cookie_path:
        header += f"; Path={policy.cookie_path}"
    return NewCookie(_hash(value.encode()), f"{header}; HttpOnly")


def _hash(*pieces: bytes) -> int:
    """The hash of pieces, each of which seeds that of the next."""
    found = 0
    for piece in pieces:
        found = xxh64_intdigest(piece, found)
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _values(headers: Headers, name: str) -> list[str]:
    name = name.lower()
    return [value for header, value in headers if header.lower() == name]


def _cookie(headers: Headers, name: str) -> str:
    """The value of the first cookie with this name, without quotes around it."""
    for key, value in _pairs(_values(headers, "cookie"), ";"):
        if key.lstrip(" ") == name:
            is_quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
            return value[1:-1] if is_quoted else value
    return ""


def _parameter(query: str, name: str) -> str | None:
    return next((value for key, value in _pairs([query], "&") if key == name), None)


def _pairs(texts: Iterable[str], separator: str) -> Iterable[tuple[str, str]]:
    for text in texts:
        for piece in text.split(separator):
            key, equals, value = piece.partition("=")
            if equals or separator == "&":
                yield key, value
