"""What a model says of several of its fields, for its JSON Schema; its validators say the same, and why."""

from typing import Any

type Rule = dict[str, Any]

_GIVEN: Rule = {"type": ["array", "object", "string"], "minItems": 1}
"""Something stands there: null and an empty list are as good as nothing."""


def some(*fields: str) -> Rule:
    """At least one of the fields is there."""
    return {"anyOf": [{"required": [field]} for field in fields]}


def not_both(one: str, other: str) -> Rule:
    """The two fields exclude each other."""
    return {"not": {"required": [one, other], "properties": {one: _GIVEN, other: _GIVEN}}}


def needed_with(field: str, value: str, *needed: str) -> Rule:
    """If a field has this value, others have to be there."""
    return {
        "if": {"required": [field], "properties": {field: {"const": value}}},
        "then": {"required": list(needed)},
    }


def all_of(*rules: Rule) -> Rule:
    """All of them hold."""
    return {"allOf": list(rules)}
