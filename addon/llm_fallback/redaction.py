"""What is a credential, and what is shown in its place. Pure."""

import re
from collections.abc import Callable
from functools import lru_cache

REDACTED = "[redacted]"

_WORDS = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "key",
        "password",
        "secret",
        "token",
    }
)
_NO_SECRETS = frozenset({"idempotency-key", "sec-websocket-key"})
_WORD = re.compile(r"[a-z0-9]+")


@lru_cache(maxsize=1024)
def is_credential(name: str) -> bool:
    """Whether a header or query parameter may hold a secret, by its name: it says key, token or the like."""
    lowered = name.lower()
    return lowered not in _NO_SECRETS and not _WORDS.isdisjoint(_WORD.findall(lowered))


def redact_header(value: str) -> str:
    """The value without its secret, but with the authentication scheme, which helps and is none."""
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {REDACTED}" if space and scheme.isalpha() else REDACTED


def redact_query(path: str) -> str:
    """The path with the secrets of its query replaced."""
    return _filter_query(path, lambda name: f"{name}={REDACTED}")


def drop_query_credentials(path: str) -> str:
    """The path without those parameters of its query that may hold a secret."""
    return _filter_query(path, lambda _: None)


def _filter_query(path: str, replace: Callable[[str], str | None]) -> str:
    before, question, query = path.partition("?")
    if not question or not any(is_credential(pair.partition("=")[0]) for pair in query.split("&")):
        return path
    pairs = (
        replace(name) if is_credential(name := pair.partition("=")[0]) else pair for pair in query.split("&")
    )
    kept = "&".join(pair for pair in pairs if pair is not None)
    return f"{before}?{kept}" if kept else before
