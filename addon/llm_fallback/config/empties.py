"""Fields with nothing behind them: Kubernetes takes them as if they were not there, and so do we, aloud."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from llm_fallback.config.documents import Document, Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.shape import fields_of, models_at
from llm_fallback.resources import Resource


def without_empties(kind: type[Resource], document: Document) -> tuple[Document, list[Finding]]:
    """The document without the optional fields of its spec that are empty, and a warning about each."""
    if not document.has_empties:
        return document, []
    paths = list(_empties(kind, document.value.get("spec"), ("spec",)))
    if not paths:
        return document, []
    value: dict[str, Any] = document.value | {"spec": _without(document.value["spec"], ("spec",), set(paths))}
    return replace(document, value=value), [_finding(document, path) for path in paths]


def _finding(document: Document, path: Path) -> Finding:
    problem = "there is nothing behind it: it is taken as if it were not there"
    hint = "write what it should say, one level further in, or remove it"
    finding = document.finding(path, problem, hint, Code.NO_EFFECT)
    return replace(finding, severity=Severity.WARNING)


def _empties(kind: type[Resource], value: Any, path: Path) -> Iterator[Path]:
    for key, item in _inside(value):
        here = (*path, key)
        if item is None and _is_optional(kind, here):
            yield here
        else:
            yield from _empties(kind, item, here)


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _is_optional(kind: type[Resource], path: Path) -> bool:
    """Whether a model may do without the field; what is a key of somebody's mapping is no field."""
    fields = [fields_of(model).get(str(path[-1])) for model in models_at(kind, path[:-1])]
    return isinstance(path[-1], str) and any(field and not field.is_required() for field in fields)


def _without(value: Any, path: Path, empties: set[Path]) -> Any:
    if isinstance(value, dict):
        return {
            key: _without(item, (*path, key), empties)
            for key, item in value.items()
            if (*path, key) not in empties
        }
    if isinstance(value, list):
        return [_without(item, (*path, index), empties) for index, item in enumerate(value)]
    return value
