"""From an explanation to plain data. Pure."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from llm_fallback.explanation.model import Explanation


def as_data(explanation: Explanation) -> dict[str, Any]:
    """The explanation as what JSON knows; every key is always there."""
    data: dict[str, Any] = _plain(explanation)
    return data


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
