"""The shape of a kind: which models may stand at a path, and where else a field of some name is."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from llm_fallback.config.documents import Path
from llm_fallback.resources import Resource
from llm_fallback.resources.base import Model

_MAX_STEPS = 4
_SIDE_WAYS = frozenset({"mirror", "mirrors", "redirect"})
"""Fields that have the same names in them as a rule's main way, and are seldom what was meant."""


def models_at(kind: type[Resource], path: Path) -> Iterator[type[Model]]:
    """The models that may stand at a path."""
    annotations: list[Any] = [kind]
    for part in path:
        annotations = [inner for annotation in annotations for inner in _step(annotation, part)]
    for annotation in annotations:
        yield from _models_in(annotation)


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names that YAML gives them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def elsewhere(kind: type[Resource], path: Path) -> str:
    """Where the field at the end of the path would be a known one: around the place, or within it."""
    name = str(path[-1])
    for length in range(len(path) - 2, 0, -1):
        through = path[length]
        if isinstance(through, str) and _have(models_at(kind, path[:length]), name):
            return f"write it beside {through}, not in it"
    if below := _below(list(models_at(kind, path[:-1])), name):
        return f"write it in {below}"
    return ""


def _have(models: Iterator[type[Model]], name: str) -> bool:
    return any(name in fields_of(model) for model in models)


def _below(models: list[type[Model]], name: str) -> str:
    """The way to the only field of this name that is nearest; nothing if several are as near."""
    reached: list[tuple[str, type[Model]]] = [("", model) for model in models]
    seen = set(models)
    for _ in range(_MAX_STEPS):
        reached = [step for way, model in reached for step in _steps_down(way, model) if step[1] not in seen]
        seen.update(model for _, model in reached)
        found = [way for way, model in reached if name in fields_of(model)]
        if found:
            return found[0] if len(found) == 1 else ""
    return ""


def _steps_down(way: str, model: type[Model]) -> Iterator[tuple[str, type[Model]]]:
    for name, field in fields_of(model).items():
        if name in _SIDE_WAYS or get_origin(field.annotation) is dict:
            continue
        index = "[0]" if get_origin(field.annotation) is list else ""
        for inner in _models_in(field.annotation):
            yield f"{way}.{name}{index}".removeprefix("."), inner


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    """The annotations of a field of a model, an item of a list or a value of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from (f.annotation for key, f in annotation.model_fields.items() if part in (key, f.alias))
    elif get_origin(annotation) in (list, dict):
        yield get_args(annotation)[-1]
    else:
        for inner in get_args(annotation):
            yield from _step(inner, part)


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if issubclass(annotation, Model):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)
