"""From documents to resources: pydantic does the checking, this module says it the way findings do."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from llm_fallback.config.documents import Document, Path, dotted
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.quoting import field_name, key_of_mapping, may_hold_secret, quotable, without_keys
from llm_fallback.config.shape import elsewhere, fields_of, models_at
from llm_fallback.resources import API_GROUPS, HARMLESS_KINDS, KINDS, Resource
from llm_fallback.resources.base import Expanded, FieldError, MissingError, UnsupportedError
from llm_fallback.wording import did_you_mean, nearest

_KEY = "[key]"
"""How pydantic marks an error in the key of a mapping."""

_QUOTED = re.compile(r"'([^']*)'")
_GATEWAY_API = "gateway.networking.k8s.io"
_ANY_NAME = frozenset({"headers", "withoutHeaders", "queryParams"})  # of a header or parameter, secret or not
_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_PLAIN = {
    "a whole number": re.compile(r"-?[0-9]{1,19}"),
    "a number": re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?"),
    "true or false": re.compile(r"true|false"),
}
_BASED = re.compile(r"0[oO][0-7]{1,19}|0[xX][0-9a-fA-F]{1,19}|0[bB][01]{1,64}")
"""Whole numbers that YAML takes for text, in one of its versions."""

_SLIP = 0.85
"""How like a known name a misspelt one is, where others are no mistake."""

_MAX_SHOWN_BITS = 64
_MAX_SHOWN_CHARACTERS = 80
_GIVEN = {
    bool: "a boolean",
    int: "a number",
    float: "a fraction",
    bytes: "binary data",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}


@dataclass(frozen=True, slots=True)
class Written[R: Resource]:
    """A valid resource and the document that it came from."""

    resource: R
    document: Document

    @property
    def place(self) -> str:
        """`file:line Kind/name`, for findings about other resources and for people."""
        return f"{self.document.file}:{self.document.line(())} {self.document.name}"

    def finding(
        self, path: Path, problem: str, hint: str, code: Code, severity: Severity = Severity.ERROR
    ) -> Finding:
        """A finding at a path of the resource."""
        document = self.document
        return Finding(
            document.file, document.line(path), document.name, dotted(path), problem, hint, code, severity
        )


def kind_of(document: Document, workload: dict[str, str] | None = None) -> type[Resource] | Finding | None:
    """The kind that a document is of, None if it is not for us, or what is wrong with its kind.

    `workload` are the labels of the one that the proxy stands for, None if nobody said.
    """
    api_version, kind = document.value.get("apiVersion"), document.value.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        missing = "kind" if isinstance(api_version, str) else "apiVersion"
        return document.finding(
            (missing,), "is missing", "every resource has apiVersion and kind", Code.UNKNOWN_KIND
        )
    if api_version.split("/")[0] == _GATEWAY_API:
        return _gateway_api(document, kind)
    known = KINDS.get(kind)
    if known and api_version in known.API_VERSIONS:
        return known
    if known:
        versions = " or ".join(known.API_VERSIONS)
        return document.finding(
            ("apiVersion",),
            f"no {kind} in apiVersion {quotable(api_version)!r}",
            f"write {versions}",
            Code.UNKNOWN_VERSION,
        )
    group = api_version.split("/")[0]
    if group not in API_GROUPS:
        return _misspelt_group(document, group, kind)
    if kind in HARMLESS_KINDS:
        return None
    if _leaves_requests_alone(document) or _is_for_others(document.value.get("spec"), workload):
        return None
    if hint := _nearest(kind, KINDS):
        return document.finding(("kind",), f"unknown kind {quotable(kind)!r}", hint, Code.UNKNOWN_KIND)
    return document.finding(
        ("kind",), f"kind {quotable(kind)} is not supported", "remove it", Code.UNSUPPORTED_KIND
    )


def _misspelt_group(document: Document, group: str, kind: str) -> Finding | None:
    """Resources of other groups are for others, unless both the group and the kind look like one of ours."""
    meant = _meant(group[:_MAX_SHOWN_CHARACTERS], kind[:_MAX_SHOWN_CHARACTERS])
    if meant is None:
        return None
    problem = f"unknown kind {quotable(kind)!r} in the unknown group {quotable(group)!r}"
    return document.finding(("apiVersion",), problem, f"did you mean {meant}?", Code.UNKNOWN_KIND)


@lru_cache(maxsize=1024)
def _meant(group: str, kind: str) -> str | None:
    near = nearest(group, API_GROUPS, cutoff=_SLIP), nearest(kind, KINDS, cutoff=_SLIP)
    return f"{near[1]} in {near[0]}" if all(near) else None


def _gateway_api(document: Document, kind: str) -> Finding | None:
    """Routes of the Gateway API act on a gateway's requests, or on those to the hosts of a ServiceEntry."""
    for index, parent in _items(document.value, "parentRefs"):
        if isinstance(parent, dict) and parent.get("kind") == "ServiceEntry":
            problem = f"{kind} is not supported, and this one is for the hosts of a ServiceEntry"
            path = ("spec", "parentRefs", index)
            return document.finding(path, problem, "write a VirtualService", Code.UNSUPPORTED_KIND)
    return None


def _leaves_requests_alone(document: Document) -> bool:
    """Whether an EnvoyFilter or Sidecar is only for gateways, or for requests that come in."""
    spec = document.value.get("spec")
    if document.value["kind"] == "Sidecar":
        return isinstance(spec, dict) and not {"egress", "outboundTrafficPolicy"} & spec.keys()
    contexts = [
        match.get("context")
        if isinstance(patch, dict) and isinstance(match := patch.get("match"), dict)
        else None
        for _, patch in _items(document.value, "configPatches")
    ]
    return (
        document.value["kind"] == "EnvoyFilter"
        and bool(contexts)
        and all(context in ("GATEWAY", "SIDECAR_INBOUND") for context in contexts)
    )


def _is_for_others(spec: Any, workload: dict[str, str] | None) -> bool:
    """Whether a resource selects gateways, by what Istio and ASM call theirs, or other workloads."""
    if not isinstance(spec, dict):
        return False
    selector = spec.get("workloadSelector")
    labels = selector.get("labels") if isinstance(selector, dict) else None
    wanted = labels if isinstance(labels, dict) else {}
    if spec.get("isGateway") is True or _is_a_gateway(wanted):
        return True
    return workload is not None and any(workload.get(name) != text for name, text in wanted.items())


def _is_a_gateway(labels: dict[Any, Any]) -> bool:
    """`istio: ingressgateway` or `app: istio-ingressgateway`; an app of one's own may be a gateway, too."""
    istio, app = str(labels.get("istio")), str(labels.get("app"))
    return istio.endswith("gateway") or (app.startswith("istio-") and app.endswith("gateway"))


def _items(value: dict[str, Any], name: str) -> Iterator[tuple[int, Any]]:
    spec = value.get("spec")
    items = spec.get(name) if isinstance(spec, dict) else None
    yield from enumerate(items if isinstance(items, list) else ())


def validate(kind: type[Resource], document: Document) -> Written[Any] | list[Finding]:
    """The resource that the document describes, or everything that is wrong with it."""
    try:
        return Written(kind.model_validate(document.value), document)
    except ValidationError as error:
        return [_finding(kind, document, details) for details in error.errors(include_url=False)]


def _finding(kind: type[Resource], document: Document, details: ErrorDetails) -> Finding:
    path: Path = tuple(part for part in details["loc"] if part != _KEY)
    if isinstance(error := details.get("ctx", {}).get("error"), FieldError):
        path = (*path, *error.path)
    problem, hint, code = _explain(kind, path, details)
    finding = document.finding(path, without_keys(problem), hint, code)
    if details["type"] == "extra_forbidden":
        return replace(finding, field=dotted((*path[:-1], field_name(str(path[-1])))))
    return finding


def _explain(kind: type[Resource], path: Path, details: ErrorDetails) -> tuple[str, str, Code]:
    """Problem, hint and code of one pydantic error."""
    context = details.get("ctx", {})
    given = details["input"]
    is_name = details["loc"][-1:] == (_KEY,)
    shown = _quoted(key_of_mapping(given) if is_name and isinstance(given, str) else given)
    if may_hold_secret(path[:-1] if is_name else path):
        shown = ""
    match details["type"]:
        case "extra_forbidden":
            # Alike for all items of a list, and for all that is longer than any field's name.
            shape = tuple(part[:_MAX_SHOWN_CHARACTERS] if isinstance(part, str) else 0 for part in path)
            return _unknown_field(kind, shape)
        case "missing":
            return "is required", "", Code.MISSING_FIELD
        case "value_error":
            error = context["error"]
            problem, _, hint = str(error).partition("; ")
            return f"{shown}{problem}", hint, _code_of(error)
        case "enum":
            return (
                f"{shown}not one of the values that are supported",
                _nearest(_text(given), _QUOTED.findall(context["expected"]))
                or f"write {context['expected']}",
                Code.INVALID_VALUE,
            )
        case "greater_than_equal":
            return f"must be {context['ge']} or more{_but(given)}", "", Code.OUT_OF_RANGE
        case "less_than_equal":
            return f"must be {context['le']} or less{_but(given)}", "", Code.OUT_OF_RANGE
        case "string_too_short" | "too_short":
            return "must not be empty", "", Code.INVALID_VALUE
        case wanted if wanted in _WANTED:
            hint = _instead(kind, path, _WANTED[wanted], given)
            problem = f"must be {_WANTED[wanted]}, not {_GIVEN.get(type(given), 'text')}"
            return problem, hint, Code.WRONG_TYPE
        case _:
            return details["msg"], "", Code.INVALID_VALUE


def _code_of(error: Exception) -> Code:
    match error:
        case UnsupportedError():
            return Code.UNSUPPORTED_VALUE
        case MissingError():
            return Code.MISSING_FIELD
        case _:
            return Code.INVALID_VALUE


@lru_cache(maxsize=1024)
def _unknown_field(kind: type[Resource], path: Path) -> tuple[str, str, Code]:
    name = str(path[-1])
    models = list(models_at(kind, path[:-1]))
    if any(name in model.NOT_SUPPORTED for model in models):
        return "this field of the mesh's is not supported", "remove it", Code.UNSUPPORTED_FIELD
    for model in models:
        if name in model.REMOVED:
            return "the mesh does not have this field any more", model.REMOVED[name], Code.UNKNOWN_FIELD
    if ":" in name:
        return "unknown field", "write a space after the colon", Code.UNKNOWN_FIELD
    fields = [field for model in models for field in fields_of(model)]
    return "unknown field", elsewhere(kind, path) or _nearest(name, fields), Code.UNKNOWN_FIELD


def _instead(kind: type[Resource], path: Path, wanted: str, given: object) -> str:
    """What to write in place of a value of the wrong type, where people are often wrong in the same way."""
    if wanted == "a string" and isinstance(given, (bool, int, float)):
        return "put it in quotes"
    if wanted == "a whole number" and isinstance(given, str) and _BASED.fullmatch(given):
        return "write it in decimal"
    if wanted in _PLAIN and isinstance(given, str) and not isinstance(given, Expanded):
        return f"write {given}, without quotes" if _PLAIN[wanted].fullmatch(given) else ""
    if wanted == "a list" and isinstance(given, dict):
        return "put '- ' before its first field, and the others below that"
    if wanted == "a list" and isinstance(given, (bool, int, float, str)):
        return "put '- ' before it, on a line of its own"
    if wanted == "a mapping" and isinstance(given, list):
        return "remove the '- ' before its first field"
    if wanted == "a mapping" and isinstance(given, (float, int, str)):
        short = [name for model in models_at(kind, path) for name in model.SHORT_FOR]
        is_secret = may_hold_secret(path) or not _ANY_NAME.isdisjoint(map(str, path))
        shown = "..." if is_secret else _plain(given)
        return f"write {' or '.join(f'{{{name}: {shown}}}' for name in short)}" if short else ""
    return ""


def _plain(given: str | float) -> str:
    """The value as people write it into YAML, if it is short, not from a variable and holds no credential."""
    is_huge = isinstance(given, int) and given.bit_length() > _MAX_SHOWN_BITS
    text = "..." if is_huge else repr(given)
    is_shown = len(text) <= _MAX_SHOWN_CHARACTERS // 2 and not isinstance(given, (bool, Expanded))
    is_shown = is_shown and (not isinstance(given, str) or quotable(given) == given)
    return text if is_shown else "..."


def _quoted(given: object) -> str:
    """The value as it was written, unless it might be a secret."""
    if isinstance(given, Expanded) or not isinstance(given, (str, int, float)):
        return ""
    return f"{_brief(given)}: "


def _but(given: object) -> str:
    return f", not {_brief(given)}" if isinstance(given, int) else ""


def _brief(given: str | float) -> str:
    if isinstance(given, int) and given.bit_length() > _MAX_SHOWN_BITS:
        return "a huge number"  # which Python may refuse to write in decimal
    return repr(quotable(given)[:_MAX_SHOWN_CHARACTERS] if isinstance(given, str) else given)


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _nearest(name: str, names: Sequence[str] | dict[str, Any]) -> str:
    return did_you_mean(name[:_MAX_SHOWN_CHARACTERS], names)
