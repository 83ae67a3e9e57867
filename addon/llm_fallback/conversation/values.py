"""Values of JSON as they may be shown: in short, without files and secrets."""

import json
import re
from collections.abc import Mapping

from llm_fallback.json_values import text
from llm_fallback.redaction import REDACTED, is_credential, redact_query

_MAX_VALUE = 200
_MAX_STRING = 120
_MAX_ENTRIES = 40
_MAX_DEPTH = 6
_MAX_LINE = 160
_NO_SECRETS = frozenset({"code"})  # in JSON it says which error it is, or is what a tool is to run
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{100,}={0,2}")
_DATA_URL = re.compile(
    r"data:([\w.+-]{1,60}/[\w.+-]{1,80})?(?:;[\w=.-]{1,60}){0,4};base64,([A-Za-z0-9+/_=-]{0,})"
)


def size(number: int) -> str:
    """A number of bytes as people say it."""
    if number < 1000:
        return f"{number} B"
    if number < 999_500:
        return f"{number / 1000:.{1 if number < 9950 else 0}f} kB"
    return f"{number / 1_000_000:.1f} MB"


def decoded_size(base64: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(base64.rstrip("=")) * 3 // 4


def one_line(value: object) -> str:
    """A name or the like as one short line."""
    line = " ".join(text(value).split())
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…"


def without_data(value: str) -> str:
    """The text with what embedded files hold replaced by what they are."""
    if "base64," not in value:
        return value
    return _DATA_URL.sub(lambda m: f"[{m[1] or 'data'}, {size(decoded_size(m[2]))}]", value)


def address(url: str) -> str:
    """A URL as it may be shown: without the file that it may hold, and without the key in its query."""
    return without_data(url) if url.startswith("data:") else one_line(redact_query(url))


def as_json(value: object) -> str:
    """The value as JSON in one line, all of it."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        return "…"


def in_short(value: object, name: str = "") -> str:
    """The value in one line of bounded length; of an object, secrets are left out by their names."""
    short = _pruned(value, name, 0)
    if isinstance(short, str):
        return one_line(short)
    line = as_json(short)
    return line if len(line) <= _MAX_VALUE else f"{line[:_MAX_VALUE]}…"


def _pruned(value: object, name: str, depth: int) -> object:
    is_secret = is_credential(name) and name.lower() not in _NO_SECRETS
    if is_secret and value is not None and not isinstance(value, bool | int | float):
        return REDACTED
    match value:
        case str():
            return _short(value)
        case Mapping() | list() if depth >= _MAX_DEPTH:
            return "…"
        case Mapping():
            kept = list(value.items())[:_MAX_ENTRIES]
            return {_short(str(k)): _pruned(v, str(k), depth + 1) for k, v in kept}
        case list():
            return [_pruned(each, "", depth + 1) for each in value[:_MAX_ENTRIES]]
        case _:
            return value


def _short(value: str) -> str:
    if _BASE64.fullmatch(value):
        return f"[{size(decoded_size(value))}]"
    value = without_data(value)
    return value if len(value) <= _MAX_STRING else f"{value[:_MAX_STRING]}… ({len(value)} characters)"
