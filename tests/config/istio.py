"""How Istio's published validation cases are told again: a spec, and what is to come of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from llm_fallback.config import documents
from llm_fallback.config.findings import Finding
from llm_fallback.config.validate import validate
from llm_fallback.resources import KINDS

type Spec = Mapping[str, Any]

UNSUPPORTED = frozenset({"unsupported-field", "unsupported-value"})


@dataclass(frozen=True, slots=True)
class Case:
    """A spec, the field that is wrong if it is not accepted, and whether that is our limit only."""

    name: str
    spec: Spec
    field: str = ""
    is_unsupported: bool = False


def accepted(**specs: Spec) -> list[Case]:
    """Istio takes them, with a warning perhaps, and so do we."""
    return [Case(name, spec) for name, spec in specs.items()]


def unsupported(field: str, **specs: Spec) -> list[Case]:
    """Istio takes them, or not; we name what does not act here."""
    return [Case(name, spec, field, is_unsupported=True) for name, spec in specs.items()]


def rejected(field: str, **specs: Spec) -> list[Case]:
    """Istio takes none of them; we say which field is wrong."""
    return [Case(name, spec, field) for name, spec in specs.items()]


def parameters(*groups: Iterable[Case]) -> list[Any]:
    """All cases, by their names."""
    return [pytest.param(case, id=case.name.replace("_", "-")) for group in groups for case in group]


def findings(kind: str, spec: object, **metadata: Any) -> list[Finding]:
    """What is wrong with a resource of this spec."""
    resource = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "told", "namespace": "shop"} | metadata,
        "spec": spec,
    }
    (document,) = documents.parse("a.json", json.dumps(resource).encode()).documents
    result = validate(KINDS[kind], document)
    return result if isinstance(result, list) else []


def judge(kind: str, case: Case) -> None:
    """Fail unless the verdict is the case's."""
    found = findings(kind, case.spec)
    told = [str(finding) for finding in found]
    if not case.field:
        assert told == []
        return
    assert case.field in [finding.field for finding in found], told
    assert case.is_unsupported == all(finding.code in UNSUPPORTED for finding in found), told
