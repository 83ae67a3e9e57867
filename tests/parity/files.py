"""Scenarios from YAML or JSON files, in the words of `scenario.py`; `docs/parity.md` shows one."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from tests.parity.scenario import (
    Ask,
    AwaitReturn,
    Begin,
    Burst,
    Fault,
    HangUp,
    Pause,
    Release,
    Reply,
    Resolve,
    Say,
    Scenario,
    Service,
    Step,
)

_STEPS: dict[str, type[Any]] = {
    "say": Say,
    "ask": Ask,
    "burst": Burst,
    "begin": Begin,
    "release": Release,
    "hangUp": HangUp,
    "resolve": Resolve,
    "awaitReturn": AwaitReturn,
    "pause": Pause,
}
_FIRST = {"say": "behaviour", "ask": "times", "burst": "size", "begin": "size", "pause": "seconds"}
"""The field that a step's value is if it is no mapping."""

_ONLY_LAST = frozenset({Fault.REFUSE, Fault.BLACKHOLE})


def scenarios_in(path: Path) -> list[Scenario]:
    """The scenarios of a file, one per YAML document; ValueError with one sentence for what is wrong."""
    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error
    found = []
    for number, document in enumerate(documents, 1):
        try:
            found.append(_scenario(document))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{path}: scenario {number}: {place}: {first['msg']}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: scenario {number}: {error}") from error
    return found


def _scenario(document: Any) -> Scenario:
    if not isinstance(document, dict):
        raise TypeError("a scenario is a mapping with name, primary and steps")
    unknown = set(document) - set(Scenario.__slots__)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(Scenario.__slots__)}")
    if not re.fullmatch(r"[a-z0-9-]{1,40}", str(document.get("name"))):
        raise ValueError("name: it is part of host names, so small letters, digits and hyphens")
    data = {"primary": {}, **document}
    for name in ("primary", "fallback"):
        if name in data:
            data[name] = _build(Service, data[name])
    data["others"] = {name: _build(Service, said) for name, said in data.get("others", {}).items()}
    data["steps"] = tuple(_step(step) for step in data.get("steps", []))
    data["http"] = tuple(data.get("http", ()))
    return Scenario(**data)


def _step(step: Any) -> Step:
    """A step: its word, or a mapping from its word to what it says."""
    word, said = (step, {}) if isinstance(step, str) else next(iter(step.items()))
    kind = _STEPS.get(word)
    if kind is None:
        raise ValueError(f"no step {word!r}; the steps are {', '.join(_STEPS)}")
    fields = said if isinstance(said, dict) else {_FIRST[word]: said}
    if word == "say":
        fields = fields | {"behaviour": _behaviours(fields["behaviour"])}
    built: Step = _build(kind, fields)
    return built


def _behaviours(said: Any) -> Any:
    script = tuple(_behaviour(one) for one in (said if isinstance(said, list) else [said]))
    if any(one in _ONLY_LAST for one in script[:-1]):
        raise ValueError("nobody answers while an endpoint refuses, so only the last behaviour may be that")
    return script


def _behaviour(said: Any) -> Any:
    if isinstance(said, dict):
        return Reply(said["status"], tuple(dict(said.get("headers", {})).items()), said.get("body"))
    return said if isinstance(said, int) else Fault(said)


def _build(kind: type[Any], fields: Any) -> Any:
    """The dataclass, with pydantic's checks; the values of `say` are built already."""
    if kind is Say:
        return Say(**fields)
    if "headers" in (request := dict(fields or {}).get("request", {})):
        headers = request["headers"]
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        fields = {**fields, "request": {**request, "headers": pairs}}
    return TypeAdapter(kind).validate_python(fields or {})
