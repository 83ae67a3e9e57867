"""From a file's bytes to documents: one for each resource, the items of lists included."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from llm_fallback.config import syntax
from llm_fallback.config.findings import Code, Finding
from llm_fallback.config.quoting import key_of_mapping, without_keys
from llm_fallback.config.values import Composed, Layout, Problem, compose
from llm_fallback.resources.base import Expanded

type Path = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SURROGATE_PAIR = re.compile(rb"(\\[^u])|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_STAND_IN = "1"
"""In place of what a variable should hold: fit for a key, a name and a number alike."""
_RENDER = "render the chart first: helm template ... | llm-fallback check -f -"
_MAPPING = "a document is a mapping with apiVersion and kind"


@dataclass(frozen=True, slots=True)
class Document:
    """One resource as it was written, and the lines on which its parts begin."""

    file: str
    name: str
    """`Kind/name`, as findings call a resource; as written, so that no variable's value is in it."""
    value: dict[str, Any]
    layout: Layout
    has_braces: bool = False
    """Whether a `{` is in any string of its file's document; if not, there is nothing to expand."""
    has_empties: bool = False
    """Whether anything in its file's document is null."""

    @property
    def is_broken(self) -> bool:
        """Whether its syntax has been reported; then the value holds what could be read."""
        return self.layout.is_broken

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest place above it that was written."""
        layout: Layout | None = self.layout
        line = self.layout.line
        for part in path:
            if layout is None:
                break
            try:
                line = layout.lines[part]  # type: ignore[index]  # the wrong kind of part is a TypeError
            except (LookupError, TypeError):
                break
            layout = layout.inner.get(part)
        return line

    def finding(self, path: Path, problem: str, hint: str, code: Code) -> Finding:
        """An error at a path of this document."""
        return Finding(self.file, self.line(path), self.name, dotted(path), problem, hint, code)


def dotted(path: Path) -> str:
    """`spec.http[0].route`, as findings write a path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{key_of_mapping(part)}" for part in path)
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What came of one file; `is_cut` says that there is more in it that could not be read."""

    documents: list[Document]
    findings: list[Finding]
    is_cut: bool = False


def parse(file: str, text: bytes) -> Parsed:
    """The resources of one YAML or JSON file, and what is wrong with its syntax."""
    documents: list[Document] = []
    findings: list[Finding] = []
    error: Exception | None = None
    try:
        for composed in compose(_without_surrogates(text)):
            findings.extend(_problem(file, composed, problem) for problem in composed.problems)
            documents.extend(_documents(file, composed, findings))
    except (yaml.YAMLError, ValueError) as reason:
        error = reason
        line, problem, hint = syntax.explain(error, text)
        findings.append(Finding(file, line, "", "", problem, hint, Code.YAML_SYNTAX))
    template = syntax.template_line(text) if any(f.code is Code.YAML_SYNTAX for f in findings) else None
    if template:
        return Parsed([], [_unrendered(file, template)], is_cut=True)
    return Parsed(documents, findings, is_cut=error is not None)


def expand(document: Document, environment: Mapping[str, str]) -> tuple[Document, list[Finding]]:
    """The document with `${NAME}` replaced by environment variables, and the ones that are missing.

    In place of what is missing something stands, so that the rest of the value can be checked.
    """
    if not document.has_braces:
        return document, []
    expansion = _Expansion(document, environment)
    return replace(document, value=expansion.value(document.value, ())), expansion.findings


@dataclass(slots=True)
class _Expansion:
    """Replaces references, and says which could not be."""

    document: Document
    environment: Mapping[str, str]
    findings: list[Finding] = field(default_factory=list)

    def value(self, value: Any, path: Path) -> Any:
        """A value with all that is in it.

        What is in metadata names resources, and is shown; annotations quote what other tools have read.
        """
        if path == ("metadata",):
            self._refuse_names(value)
            return value
        if isinstance(value, dict):
            return {key: self.value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if "{{" in value and path[0] == "spec" and syntax.is_template(value):
            problem = "a template that has not been rendered"
            self._complain(path, problem, _RENDER, Code.UNRENDERED_TEMPLATE)
        return self._text(value, path) if "${" in value else value

    def _refuse_names(self, metadata: Any) -> None:
        for part in ("name", "namespace"):
            name = metadata.get(part) if isinstance(metadata, dict) else None
            if isinstance(name, str) and "${" in name:
                problem = "a variable is not replaced in what names a resource"
                self._complain(("metadata", part), problem, "write the name itself", Code.INVALID_VARIABLE)

    def _text(self, value: str, path: Path) -> str:
        known = len(self.findings)
        for name in _VARIABLE.findall(value):
            if not self.environment.get(name):
                state = "is empty" if name in self.environment else "is not set"
                hint = f"export {name}=... before starting, or write the value here"
                self._complain(path, f"environment variable {name} {state}", hint, Code.MISSING_VARIABLE)
        if "${" in _VARIABLE.sub("", value):
            hint = "write ${NAME}, with letters, digits and underscores in the name"
            self._complain(path, "not a reference to an environment variable", hint, Code.INVALID_VARIABLE)
        if len(self.findings) > known:
            return Expanded(_STAND_IN)
        return Expanded(_VARIABLE.sub(lambda match: self.environment[match[1]], value))

    def _complain(self, path: Path, problem: str, hint: str, code: Code) -> None:
        self.findings.append(self.document.finding(path, problem, hint, code))


def _documents(file: str, composed: Composed, findings: list[Finding]) -> Iterator[Document]:
    """The document, or its items if it is a list."""
    if composed.value is None:
        return  # what was wrong with it has been said
    if not isinstance(composed.value, dict) or composed.layout is None:
        hint = "write --- between resources, or a List with items" if isinstance(composed.value, list) else ""
        findings.append(Finding(file, composed.line, "", "", _MAPPING, hint, Code.YAML_SYNTAX))
        return
    root = Document(file, "", composed.value, composed.layout, composed.has_braces, composed.has_empties)
    yield from _items(_inner(root, composed.value, composed.layout), findings)


def _items(document: Document, findings: list[Finding]) -> Iterator[Document]:
    """The items of a list such as kubectl's, or the document itself if it is none."""
    kind, items = document.value.get("kind"), document.value.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or "spec" in document.value:
        yield document
        return
    layout = document.layout.inner.get("items")
    if not isinstance(items, list) or layout is None:
        if items is not None:  # kubectl's word for an empty list
            findings.append(document.finding(("items",), "must be a list", "", Code.WRONG_TYPE))
        return
    defaults = {"apiVersion": document.value.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            findings.append(document.finding(("items", index), _MAPPING, "", Code.WRONG_TYPE))
            continue
        # Items of a VirtualServiceList may leave out what the list says for all of them.
        value = item if kind == "List" else {key: v for key, v in defaults.items() if v is not None} | item
        yield from _items(_inner(document, value, layout.inner[index]), findings)


def _inner(document: Document, value: dict[str, Any], layout: Layout) -> Document:
    """A resource in a document, or the whole of it, under its own name."""
    return replace(document, name=_name_of(value), value=value, layout=layout)


def _name_of(value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{_word(value.get('kind'))}/{_word(name)}"


def _word(value: object) -> str:
    """A kind or name as findings show it: what is no text is none."""
    return without_keys(value) if isinstance(value, str) and value else "?"


def _without_surrogates(text: bytes) -> bytes:
    r"""JSON writes characters beyond 16 bits as two escapes (`\ud83d\ude00`), which YAML does not know."""
    if not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return text

    def character(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return match[0]
        units = bytes.fromhex((match[2] + match[3]).decode())
        return units.decode("utf-16-be").encode()

    return _SURROGATE_PAIR.sub(character, text)


def _problem(file: str, composed: Composed, problem: Problem) -> Finding:
    """A problem with the syntax, under the name of the resource that it is in."""
    value, path = composed.value, problem.path
    while isinstance(value, dict) and str(value.get("kind")).endswith("List"):
        items = value.get("items")
        match path:
            case ("items", int(index), *rest) if isinstance(items, list) and index < len(items):
                value, path = items[index], tuple(rest)
            case _:
                break
    is_known = isinstance(value, dict) and "kind" in value
    name, field_ = (_name_of(value), dotted(path)) if is_known else ("", "")
    code = Code.DUPLICATE_KEY if problem.is_duplicate else Code.YAML_SYNTAX
    return Finding(file, problem.line, name, field_, problem.problem, problem.hint, code)


def _unrendered(file: str, line: int) -> Finding:
    problem = "a template that has not been rendered"
    return Finding(file, line, "", "", problem, _RENDER, Code.UNRENDERED_TEMPLATE)
