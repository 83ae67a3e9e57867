"""From bytes to documents: plain values, and the line of every one of them.

PyYAML's safe loader composes the nodes; the walk over them is ours, because findings need the line of each
field, and because duplicate keys, cycles and alias bombs have to be findings too.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from llm_fallback.config.findings import Finding
from llm_fallback.resources.base import Expanded

type Path = tuple[str | int, ...]

_MAX_DEPTH = 64
_MAX_VALUES = 1_000_000
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _ManifestLoader(_Loader):  # type: ignore[misc]  # the C loader, or the Python one where there is none
    """PyYAML's safe loader without dates: Kubernetes has none, and a string stays a string."""


_ManifestLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its mapping, and the line on which each path in it begins."""

    file: str
    name: str
    """`Kind/name`, as findings call a resource; as written, so that no variable's value is in it."""
    value: dict[str, Any]
    lines: Mapping[Path, int]
    is_broken: bool = False
    """Whether its syntax has been reported; then the value holds what could be read."""

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest place above it that was written."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def finding(self, path: Path, problem: str, hint: str, code: str) -> Finding:
        """An error at a path of this document."""
        return Finding(self.file, self.line(path), self.name, dotted(path), problem, hint, code)


def dotted(path: Path) -> str:
    """`spec.http[0].route`, as findings write a path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def parse(file: str, text: bytes) -> tuple[list[Document], list[Finding]]:
    """The documents of one YAML or JSON file, and what is wrong with their syntax."""
    documents: list[Document] = []
    findings: list[Finding] = []
    try:
        for node in _compose(text):
            document = _document(file, node, findings)
            documents.extend([document] if document else [])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"not valid YAML: {error.problem or error.context}"
        findings.append(_syntax(file, mark.line + 1 if mark else None, problem))
    except (yaml.YAMLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "it is not text"
        findings.append(_syntax(file, None, f"not valid YAML: {reason}"))
    return documents, findings


def expand(document: Document, environment: Mapping[str, str]) -> tuple[Document, list[Finding]]:
    """The document with `${NAME}` replaced by environment variables, and the ones that are missing."""
    findings: list[Finding] = []

    def complain(path: Path, problem: str, hint: str, code: str) -> None:
        findings.append(document.finding(path, problem, hint, code))

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        for name in _VARIABLE.findall(value):
            if not environment.get(name):
                state = "is empty" if name in environment else "is not set"
                hint = f"export {name}=... before starting, or write the value here"
                complain(path, f"environment variable {name} {state}", hint, "missing-variable")
        if "${" in _VARIABLE.sub("", value):
            hint = "write ${NAME}, with letters, digits and underscores in the name"
            complain(path, "not a reference to an environment variable", hint, "invalid-variable")
        return Expanded(_VARIABLE.sub(lambda match: environment.get(match[1], ""), value))

    return replace(document, value=walk(document.value, ())), findings


def _check_depth(text: bytes) -> None:
    """Raise MarkedYAMLError for what would overflow the stack: libyaml composes by recursion.

    Other errors are left to the composer, which gives out the documents before them first.
    """
    depth = 0
    events = yaml.parse(text, _ManifestLoader)
    with contextlib.suppress(yaml.YAMLError, ValueError):
        for event in events:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                break
    if depth > _MAX_DEPTH:
        mark: Any = event.start_mark  # either loader's kind of mark
        raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=mark)


def _compose(text: bytes) -> Iterator[tuple[Any, yaml.Node]]:
    _check_depth(text)
    loader = _ManifestLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield loader, node
    finally:
        loader.dispose()


def _document(file: str, composed: tuple[Any, yaml.Node], findings: list[Finding]) -> Document | None:
    loader, node = composed
    if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
        return None  # nothing between two separators
    walk = _Walk(file, loader)
    value = walk.value(node, ())
    findings.extend(walk.findings)
    if not isinstance(value, dict):
        findings.append(
            _syntax(file, node.start_mark.line + 1, "a document is a mapping with apiVersion and kind")
        )
        return None
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    resource = f"{value.get('kind', '?')}/{name or '?'}"
    return Document(file, resource, value, walk.lines, is_broken=bool(walk.findings))


@dataclass(slots=True)
class _Walk:
    """Turns composed nodes into plain values, noting lines."""

    file: str
    loader: Any
    lines: dict[Path, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    visits: int = 0
    merges: int = 0
    """How many merges the walk is in: they go deeper without a longer path."""
    overflow: bool = False

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.visits += 1
        if len(path) + self.merges > _MAX_DEPTH or self.visits > _MAX_VALUES:
            return self._too_much(node)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except yaml.MarkedYAMLError as error:
            return self._problem(node, f"not valid YAML: {error.problem}")
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError):
            return self._problem(node, "not valid YAML: a value that is not what its tag says")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merges: list[yaml.Node] = []
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge":
                merges.extend(value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node])
            elif not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, "a key is a plain string")
            elif key in result:
                self._problem(key_node, f"duplicate key {key!r}", "duplicate-key", "keep one of them")
            else:
                self.lines.setdefault((*path, key), key_node.start_mark.line + 1)
                result[key] = self.value(value_node, (*path, key))
        for merge in merges:
            self.merges += 1
            source = self.value(merge, path)
            self.merges -= 1
            if not isinstance(source, dict):
                if not self.overflow:
                    self._problem(merge, "<< merges mappings only")
                break
            result = source | result
        return result

    def _too_much(self, node: yaml.Node) -> None:
        if not self.overflow:
            self.overflow = True
            self._problem(node, "nested too deeply, or aliases that never end")

    def _problem(self, node: yaml.Node, problem: str, code: str = "yaml-syntax", hint: str = "") -> None:
        self.findings.append(Finding(self.file, node.start_mark.line + 1, "", "", problem, hint, code))


def _syntax(file: str, line: int | None, problem: str) -> Finding:
    return Finding(file, line, "", "", problem, "", "yaml-syntax")
