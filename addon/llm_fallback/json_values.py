"""JSON from anybody, read without trust: what is of another type than expected is as good as absent. Pure."""

import json
from collections.abc import Mapping
from typing import Any

_MAX_COUNT = 2**53  # above it JSON's numbers are not exact everywhere


def parsed(source: str | bytes) -> Any:
    """The value of a JSON text; None for what is none. A bare `null` says as little as no JSON."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def text(value: object) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def items(value: object) -> list[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def count(value: object) -> int | None:
    """The number of something, if it is one that can be true."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _MAX_COUNT else None
