"""What is a credential, and what is shown in its place. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import unquote

from llm_fallback.resources.base import Expanded

REDACTED = "[redacted]"

_WORDS = frozenset({"auth", "authentication", "cred", "creds", "key", "pwd", "sig", "signature"})
_PARTS = re.compile(
    r"apikey|accesskey|authorization|cookie|credential|passw|jwt|secret|token(?!s)"
    r"|^secwebsocketprotocol$"  # browsers have no other header for a key: OpenAI's clients write it there
)
_NO_SECRETS = frozenset({"idempotency-key", "sec-websocket-key"})
_WITH_SCHEME = frozenset({"authorization", "proxy-authorization"})
_LESS_USUAL = re.compile(r"([;#])")
_WORD = re.compile(r"[A-Z]*[a-z0-9]+|[A-Z]+")  # of api_key, api-key and apiKey alike


@lru_cache(maxsize=1024)
def is_credential(name: str) -> bool:
    """Whether a header or query parameter may hold a secret, by its name: it says key, token or the like."""
    plain = unquote(name)
    if plain.lower() in _NO_SECRETS:
        return False
    words = [word.lower() for word in _WORD.findall(plain)]
    return not _WORDS.isdisjoint(words) or _PARTS.search("".join(words)) is not None


def redact_header(name: str, value: str) -> str:
    """The value without its secret, but with the authentication scheme, which helps and is none."""
    scheme, space, _ = value.partition(" ")
    has_scheme = name.lower() in _WITH_SCHEME and space and scheme.isalpha()
    return f"{scheme} {REDACTED}" if has_scheme else REDACTED


def redact_value(name: str, value: str) -> str:
    """What is shown of a header: of a URL with a key in its query, as in Referer, all but the key."""
    if isinstance(value, Expanded) or is_credential(name):
        return redact_header(name, value)
    return redact_query(value)


def redact_query(path: str) -> str:
    """The path with the secrets of its query replaced."""
    return _change_query(path, lambda name, pair: f"{name}={REDACTED}" if is_credential(name) else pair)


def drop_query_credentials(path: str) -> str:
    """The path without those parameters of its query that may hold a secret."""
    return _change_query(path, lambda name, pair: None if is_credential(name) else pair)


def query_credentials(path: str) -> tuple[str, ...]:
    """The `name=value` pairs of the query that may hold a secret, those already replaced excepted."""
    pairs = _pairs(path.partition("?")[2])
    return tuple(p for _, p in pairs if is_credential(p.partition("=")[0]) and not _is_placeholder(p))


def has_placeholder(path: str) -> bool:
    """Whether a secret of the query has been replaced."""
    return any(_is_placeholder(pair) for _, pair in _pairs(path.partition("?")[2]))


def restore_query(path: str, held: Sequence[str]) -> str:
    """The path with each placeholder of its query replaced by the next pair of its name, or dropped."""
    left = list(held)

    def restore(name: str, pair: str) -> str | None:
        if not _is_placeholder(pair):
            return pair
        kept = next((kept for kept in left if kept.partition("=")[0] == name), None)
        if kept is not None:
            left.remove(kept)
        return kept

    return _change_query(path, restore)


def _is_placeholder(pair: str) -> bool:
    name, _, value = pair.partition("=")
    return unquote(value) == REDACTED and is_credential(name)


def _change_query(path: str, change: Callable[[str, str], str | None]) -> str:
    """The path with each `name=value` of its query changed, or dropped for None."""
    before, question, query = path.partition("?")
    if not question:
        return path
    changed = ((separator, change(pair.partition("=")[0], pair)) for separator, pair in _pairs(query))
    kept = [part for separator, pair in changed if pair is not None for part in (separator, pair)]
    rest = "".join(kept[1:])
    return f"{before}?{rest}" if rest or not query else before


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    """Each `name=value` of a query, and the separator before it: `&` and, as some servers have it, `;`.

    What comes after a fragment's `#` is taken for pairs, too. A secret goes on to the next `&`: the others
    may be part of it.
    """
    for segment in query.split("&"):
        parts = ["&", *_LESS_USUAL.split(segment)]
        for at in range(0, len(parts), 2):
            if is_credential(parts[at + 1].partition("=")[0]):
                yield parts[at], "".join(parts[at + 1 :])
                break
            yield parts[at], parts[at + 1]
