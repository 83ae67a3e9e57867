"""What is a credential, and what is shown in its place. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from llm_fallback.resources.base import Expanded

REDACTED = "[redacted]"

_WORDS = frozenset(
    {
        "ak", "cert", "certificate", "cred", "creds", "otp", "pass", "pin", "psk", "sid", "sig", "sk", "totp",
    }
)  # fmt: skip
_PARTS = re.compile(
    r"auth(?!or(?!i[sz])|enticate$)|bearer|clientcert|cookie|credential|[cx]srf|hmac|jwt|passw|passphrase|passcode"
    r"|pwd|saml|secret|sess(?:ion)?id|session|signature|token(?!s$|i[sz])|apikey|accesskey"
    r"|(?<!mon)(?<!don)(?<!tur)(?<!hoc)(?<!joc)(?<!whis)keys?(?:id|value|data|material)?\d*$"
)
_NAMES = frozenset({"code", "sec-websocket-protocol", "x-functions-code"})
# OAuth's and Azure's code, unlike that of a country; browsers have no other header than the second for a key:
# OpenAI's clients write it there.
_NO_SECRETS = frozenset({"idempotency-key", "sec-websocket-key", "x-idempotency-key"})
_WITH_SCHEME = frozenset({"authorization", "proxy-authorization"})
_WORD = re.compile(r"[a-z0-9]+")
# A URL in a query is escaped there, the more often the deeper it is.
_QUERY = re.compile(r"[?#]|%(?:25)*(?:3f|23)", re.IGNORECASE)
_LESS_USUAL = re.compile(r"([;#?]|%(?:25)*(?:3b|23|3f|26))", re.IGNORECASE)
_EQUALS = re.compile(r"=|%(?:25)*3d", re.IGNORECASE), re.compile("=")


class _Pair(NamedTuple):
    """`name=value`, and what stands before it; only that of a secret is taken apart."""

    separator: str
    text: str
    name: str = ""
    equals: str = ""
    value: str = ""

    @property
    def is_secret(self) -> bool:
        return bool(self.name)

    @property
    def is_placeholder(self) -> bool:
        return self.is_secret and unquote(self.value) == REDACTED


@lru_cache(maxsize=1024)
def is_credential(name: str) -> bool:
    """Whether a header or query parameter may hold a secret, by its name: it says key, token or the like.

    Capitals say nothing: HTTP/2 has none.
    """
    plain = unquote(name).lower()
    if plain in _NO_SECRETS:
        return False
    if plain in _NAMES:
        return True
    return any(word in _WORDS or _PARTS.search(word) for word in _WORD.findall(plain))


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


def may_have_query(text: str) -> bool:
    """Whether a text may be a URL with a query or a fragment, escaped or not: most that are asked are not."""
    return "?" in text or "#" in text or "%" in text


def redact_query(path: str) -> str:
    """The path, or any URL, with the secrets of its query replaced."""
    return _change_query(path, lambda pair: f"{pair.name}{pair.equals or '='}{REDACTED}")


def drop_query_credentials(path: str) -> str:
    """The path without those parameters of its query that may hold a secret."""
    return _change_query(path, lambda _: None)


def query_credentials(path: str) -> tuple[str, ...]:
    """The `name=value` pairs of the query that may hold a secret, those already replaced excepted."""
    return tuple(pair.text for pair in _secrets(path) if not pair.is_placeholder)


def name_and_value(pair: str) -> tuple[str, str]:
    """The two sides of such a pair."""
    found = _pair("", pair)
    return found.name, found.value


def has_placeholder(path: str) -> bool:
    """Whether a secret of the query has been replaced."""
    return any(pair.is_placeholder for pair in _secrets(path))


def restore_query(path: str, held: Sequence[str]) -> str:
    """The path with each placeholder of its query replaced by the next pair of its name, or dropped."""
    left = [_pair("", text) for text in held]

    def restore(pair: _Pair) -> str | None:
        if not pair.is_placeholder:
            return pair.text
        kept = next((kept for kept in left if kept.name == pair.name), None)
        if kept is None:
            return None
        left.remove(kept)
        return kept.text

    return _change_query(path, restore)


def _change_query(path: str, change: Callable[[_Pair], str | None]) -> str:
    """The path with each secret of its query changed, or dropped for None."""
    before, mark, query = _query_of(path)
    if not mark:
        return path
    changed = [(pair.separator, change(pair) if pair.is_secret else pair.text) for pair in _pairs(query)]
    kept = [part for separator, text in changed if text is not None for part in (separator, text)]
    rest = "".join(kept[1:])
    return f"{before}{mark}{rest}" if rest or not query else before


def _secrets(path: str) -> Iterator[_Pair]:
    _, mark, query = _query_of(path)
    return (pair for pair in _pairs(query) if pair.is_secret) if mark else iter(())


def _query_of(url: str) -> tuple[str, str, str]:
    """What is before the query, its mark, and the query."""
    return _split(_QUERY, url) if may_have_query(url) else (url, "", "")


def _pairs(query: str) -> Iterator[_Pair]:
    """Each `name=value` of a query, after `&` and, as some servers have it, `;`.

    What comes after a fragment's `#` or another `?` is taken for pairs, too, and so is what is escaped, as in
    a URL that is a value. A secret goes on to the next `&`: the others may be part of it.
    """
    for segment in query.split("&"):
        parts = ["&", *_LESS_USUAL.split(segment)]
        for at in range(0, len(parts), 2):
            pair = _pair(parts[at], parts[at + 1])
            if pair.is_secret:
                yield _pair(parts[at], "".join(parts[at + 1 :]))
                break
            yield pair


def _pair(separator: str, text: str) -> _Pair:
    """Take a pair apart if it may hold a secret; an escaped `=` is the middle of it, or part of a name."""
    for equals in _EQUALS:
        name, found, value = _split(equals, text)
        if is_credential(name):
            return _Pair(separator, text, name, found, value)
    return _Pair(separator, text)


def _split(separator: re.Pattern[str], text: str) -> tuple[str, str, str]:
    found = separator.search(text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")
