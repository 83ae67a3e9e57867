"""JSON Schema of what people write, from the models that check it, for editors.

It says what a schema can say: names, types, ranges, one of several values. What depends on several fields or
resources, the checks say. `${NAME}` may stand for any value that is not a list, a mapping or a boolean.
"""

from typing import Any, override

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from llm_fallback.resources import API_GROUPS, HARMLESS_KINDS, KINDS, Resource
from llm_fallback.resources.base import parse_duration_ms, parse_limit_ms

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE: JsonSchemaValue = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_LIMIT = r"\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+"
_SOME_MS = r"(?=.*[1-9])(?!\+?[0-9]*\.[0-9]*[1-9][0-9]*ms$)"
"""Not 0, and no part of a millisecond."""

_DURATIONS: dict[object, str] = {parse_duration_ms: rf"{_SOME_MS}{_LIMIT}", parse_limit_ms: _LIMIT}
"""What a duration looks like, by the function that reads it."""

_CONSTRAINTS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""Pydantic's names, which it leaves where a function stands before the number."""

_SECRET_HINTS = ("format", "writeOnly")
"""What pydantic says of a secret; editors have no use for it."""


def schema_of_kind(kind: type[Resource]) -> JsonSchemaValue:
    """The schema of one kind, complete in itself."""
    schema = kind.model_json_schema(by_alias=True, schema_generator=_Generator, mode="validation")
    return {"$schema": _DIALECT} | _named(kind, schema)


def schema_of_all() -> JsonSchemaValue:
    """One schema for files in which documents are of any kind; those that are not for us are as they like."""
    definitions: dict[str, JsonSchemaValue] = {}
    for name, kind in sorted(KINDS.items()):
        schema = kind.model_json_schema(
            by_alias=True,
            schema_generator=_Generator,
            mode="validation",
            ref_template=f"#/$defs/{name}.{{model}}",
        )
        inner = schema.pop("$defs", {})
        definitions[name] = _named(kind, schema)
        definitions |= {f"{name}.{model}": _as_written(definition) for model, definition in inner.items()}
    groups = "|".join(sorted(group.replace(".", r"\.") for group in API_GROUPS))
    kinds = [*sorted(KINDS), *sorted(HARMLESS_KINDS)]
    return {
        "$schema": _DIALECT,
        "title": "llm-fallback",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"anyOf": [{"enum": ["List", *kinds]}, {"type": "string"}]},
        },
        "allOf": [
            *(_when({"kind": {"const": name}}, {"$ref": f"#/$defs/{name}"}) for name in sorted(KINDS)),
            _when(
                {"apiVersion": {"type": "string", "pattern": f"^({groups})/"}},
                {"properties": {"kind": {"anyOf": [{"enum": kinds}, {"pattern": "List$"}]}}},
            ),
            *(_list_of(name) for name in sorted(KINDS)),
            _when(
                {"kind": {"const": "List"}},
                {"properties": {"items": {"type": ["array", "null"], "items": {"$ref": "#"}}}},
            ),
        ],
        "$defs": definitions,
    }


def _list_of(name: str) -> JsonSchemaValue:
    """A list of one kind: its items may leave out what the list says for all of them."""
    item = _when({"kind": {}}, {"$ref": "#"}) | {
        "else": {"properties": {"spec": {"$ref": f"#/$defs/{name}/properties/spec"}}, "required": ["spec"]}
    }
    return _when({"kind": {"const": f"{name}List"}}, {"properties": {"items": {"items": item}}})


def _when(properties: JsonSchemaValue, then: JsonSchemaValue) -> JsonSchemaValue:
    return {"if": {"properties": properties, "required": sorted(properties)}, "then": then}


def _named(kind: type[Resource], schema: JsonSchemaValue) -> JsonSchemaValue:
    """The schema as people write the kind; `$defs` included."""
    written: JsonSchemaValue = _as_written(schema)
    written["properties"]["apiVersion"] = {"enum": list(kind.API_VERSIONS)}
    written["properties"]["kind"] = {"const": kind.__name__}
    return written


class _Generator(GenerateJsonSchema):
    """As pydantic describes the models, in the words of somebody who writes YAML."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # it would repeat the field's name

    @override
    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        if pattern := _DURATIONS.get(schema["function"]["function"]):
            return {
                "type": "string",
                "pattern": rf"^{pattern}$|{_VARIABLE['pattern']}",
                "description": "A number with a unit of ms, s, m or h, such as 10s or 1m30s.",
            }
        return super().function_before_schema(schema)

    @override
    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return {}  # only its function knows what it takes

    @override
    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if isinstance(described.get("default"), (dict, list)) or described.get("default", 0) is None:
            del described["default"]
        elif "pattern" in described and isinstance(described.get("default"), int):
            described["default"] = f"{described['default'] / 1000:g}s"
        return described


def _as_written(schema: Any) -> Any:
    """The schema with `${NAME}` wherever a number or one of several words is wanted."""
    if isinstance(schema, list):
        return [_as_written(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {_CONSTRAINTS.get(key, key): _as_written(value) for key, value in schema.items()}
    if inner.get("format") == "password":
        return {key: value for key, value in inner.items() if key not in _SECRET_HINTS}
    if inner.get("type") not in ("integer", "number") and not isinstance(inner.get("enum"), list):
        return inner
    outer = {key: inner.pop(key) for key in ("title", "description", "default") if key in inner}
    return outer | {"anyOf": [inner, dict(_VARIABLE)]}
