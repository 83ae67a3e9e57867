"""From bytes to plain values, and the line of every one of them.

libyaml parses; the values are put together here from its events, in one pass and without recursion, because
its own composer has no limit on depth, because findings need the line of each field, and because duplicate
keys, cycles and alias bombs have to be findings too. What a plain scalar means, PyYAML's safe loader decides,
with two differences that are Kubernetes': no dates, no numbers of base 60.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from llm_fallback.config.quoting import key_of_mapping

MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Values in one file, aliases counted each time: a few times ten thousand resources."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(
    f"{_TAG}{name}" for name in ("binary", "bool", "float", "int", "null", "str", "timestamp")
)
_NUMBER_TAGS = frozenset({f"{_TAG}float", f"{_TAG}int"})
_NOT_ITS_TAG = "a value that is not what its tag says"
_MAX_CACHED_CHARACTERS = 64
_DROPPED = object()
"""In place of a key: the value after it goes nowhere."""
_MERGE = object()
"""In place of a key: `<<`."""
_NOTHING = object()
"""In place of a key: none has been read yet."""


class _Scalars(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """What a scalar means."""

    def __init__(self) -> None:
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)

    def plain(self, text: str, mark: Any) -> Any:
        """The value of a scalar without quotes and tag. Raises ValueError if it is none."""
        tag = self.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        is_base_60 = ":" in text and tag in _NUMBER_TAGS
        return text if is_base_60 or tag not in _SCALAR_TAGS else self.tagged(text, tag, mark)

    def tagged(self, text: str, tag: str, mark: Any) -> Any:
        """The value of a scalar with a tag. Raises ValueError if it is not what the tag says."""
        if tag not in _SCALAR_TAGS:
            # Not quoted: a key that begins with an exclamation mark is read as one.
            raise ValueError("unknown tag; put a value that begins with ! in quotes")
        if ":" in text and tag in _NUMBER_TAGS:
            # Base 60, for which PyYAML's time grows with the square of the length.
            raise ValueError(_NOT_ITS_TAG)
        try:
            return self.construct_object(yaml.ScalarNode(tag, text, mark, mark))
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError):
            raise ValueError(_NOT_ITS_TAG) from None
        finally:
            self.constructed_objects.clear()
            self.recursive_objects.clear()


_Scalars.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(slots=True)
class Layout:
    """Where a mapping or list and what is in it were written."""

    line: int
    lines: dict[str, int] | list[int]
    """Where each key or item begins."""
    inner: dict[str | int, "Layout"] = field(default_factory=dict)
    """The mappings and lists among them."""
    size: int = 1
    """How many values it is, aliases counted each time."""
    depth: int = 1
    is_broken: bool = False
    """Whether its syntax has been reported; then the value holds what could be read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the syntax at a line, and does not keep the rest from being read."""

    line: int
    path: tuple[str | int, ...]
    """Where in the document it is, as far as that can be said."""
    problem: str
    hint: str = ""
    is_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Composed:
    """One document: its value, and its layout where it is a mapping or a list."""

    line: int
    value: Any
    layout: Layout | None
    problems: list[Problem]
    has_braces: bool
    """Whether a `{` is in any string: a reference to a variable, perhaps, or a template."""
    has_empties: bool
    """Whether anything in it is null."""


@dataclass(slots=True)
class _Item:
    """A value that is complete; `text` is what was written, if it is a scalar."""

    value: Any
    line: int
    layout: Layout | None = None
    text: str | None = None
    is_plain: bool = False


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being read."""

    value: Any
    layout: Layout
    anchor: str | None
    key: Any = _NOTHING
    key_line: int = 0
    merges: list[_Item] = field(default_factory=list)


def compose(text: bytes) -> Iterator[Composed]:
    """The documents of a file, those that are nothing left out.

    Raises yaml.YAMLError for what keeps the rest of the file from being read, ValueError if it is not text.
    """
    composer = _Composer()
    event: Any  # of either loader's kind
    for event in yaml.parse(text, _Loader):
        kind = type(event)
        if kind is yaml.ScalarEvent:
            composer.scalar(event)
        elif kind is yaml.MappingStartEvent:
            composer.start({}, Layout(event.start_mark.line + 1, {}), event)
        elif kind is yaml.SequenceStartEvent:
            composer.start([], Layout(event.start_mark.line + 1, []), event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            composer.end()
        elif kind is yaml.AliasEvent:
            composer.alias(event)
        elif kind is yaml.DocumentEndEvent:
            composed = composer.document()
            if composed.value is not None or composed.problems:
                yield composed


class _Composer:
    """Takes libyaml's events one by one."""

    def __init__(self) -> None:
        self._scalars = _Scalars()
        self._known: dict[str, Any] = {}
        self._values = 0
        self._begin()

    def _begin(self) -> None:
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Item | None] = {}
        self._problems: list[Problem] = []
        self._root: _Item | None = None
        self._has_braces = False
        self._has_empties = False

    def document(self) -> Composed:
        """What the events since the last document add up to."""
        root = self._root or _Item(None, 1)
        composed = Composed(
            root.line, root.value, root.layout, self._problems, self._has_braces, self._has_empties
        )
        self._begin()
        return composed

    def scalar(self, event: Any) -> None:
        """A string, number, boolean or nothing."""
        mark = event.start_mark
        text: str = event.value
        is_plain, is_quoted = event.implicit
        self._count(1, mark)
        value: Any = text
        if is_plain and text in self._known:
            value = self._known[text]
        elif not is_quoted:
            value = self._meaning(text, "" if is_plain else event.tag, mark)
        if "{" in text:
            self._has_braces = True
        if value is None:
            self._has_empties = True
        item = _Item(value, mark.line + 1, None, text, is_plain)
        if event.anchor:
            self._anchors[event.anchor] = item
        self._put(item)

    def start(self, value: Any, layout: Layout, event: Any) -> None:
        """A mapping or list begins."""
        if len(self._stack) >= MAX_DEPTH:
            _too_deep(event.start_mark)
        self._count(1, event.start_mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(value, layout, event.anchor))

    def end(self) -> None:
        """The mapping or list that began last is complete."""
        frame = self._stack[-1]
        for merge in frame.merges:
            self._merge(frame, merge)
        self._stack.pop()
        item = _Item(frame.value, frame.layout.line, frame.layout)
        if frame.anchor:
            self._anchors[frame.anchor] = item
        self._put(item)

    def alias(self, event: Any) -> None:
        """What an anchor names, once more."""
        mark = event.start_mark
        line = mark.line + 1
        if event.anchor not in self._anchors:
            raise yaml.MarkedYAMLError(problem="found undefined alias", problem_mark=mark)
        item = self._anchors[event.anchor]
        if item is None:
            self._problem(line, "an alias of what it stands in")
            item = _Item(None, line)
        elif item.layout:
            self._count(item.layout.size, mark)
            if len(self._stack) + item.layout.depth > MAX_DEPTH:
                _too_deep(mark)
        self._put(_Item(item.value, line, item.layout, item.text))

    def _path(self) -> tuple[str | int, ...]:
        """The way to what is being read, keys that are none left out."""
        parts = [frame.key if isinstance(frame.value, dict) else len(frame.value) for frame in self._stack]
        return tuple(part for part in parts if isinstance(part, (int, str)))

    def _count(self, values: int, mark: Any) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            problem = f"more than {MAX_VALUES} values in one file, aliases counted each time"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)

    def _meaning(self, text: str, tag: str, mark: Any) -> Any:
        try:
            value = self._scalars.tagged(text, tag, mark) if tag else self._scalars.plain(text, mark)
        except ValueError as error:
            problem, _, hint = str(error).partition("; ")
            self._problem(mark.line + 1, f"not valid YAML: {problem}", hint)
            return None
        if not tag and len(text) <= _MAX_CACHED_CHARACTERS:
            self._known[text] = value
        return value

    def _put(self, item: _Item) -> None:
        """Give a complete value to what it stands in."""
        if not self._stack:
            self._root = item
            return
        frame = self._stack[-1]
        parent = frame.layout
        if item.layout:
            parent.size += item.layout.size
            parent.depth = max(parent.depth, item.layout.depth + 1)
            parent.is_broken |= item.layout.is_broken
        else:
            parent.size += 1
        if isinstance(parent.lines, list):
            if item.layout:
                parent.inner[len(parent.lines)] = item.layout
            parent.lines.append(item.line)
            frame.value.append(item.value)
        elif frame.key is _NOTHING:
            frame.key = self._key(frame, item)
            frame.key_line = item.line
        else:
            self._put_under(frame, parent.lines, item)

    def _put_under(self, frame: _Frame, lines: dict[str, int], item: _Item) -> None:
        key, frame.key = frame.key, _NOTHING
        if key is _MERGE:
            frame.merges.append(item)
        elif key is not _DROPPED:
            lines[key] = frame.key_line
            frame.value[key] = item.value
            if item.layout:
                frame.layout.inner[key] = item.layout

    def _key(self, frame: _Frame, item: _Item) -> Any:
        if item.text is None:
            self._problem(item.line, "a key is a plain string")
            return _DROPPED
        if item.text == "<<" and item.is_plain:
            return _MERGE
        if item.text in frame.value:
            problem = f"duplicate key {key_of_mapping(item.text)!r}"
            self._problem(item.line, problem, "keep one of them", key=item.text, is_duplicate=True)
            return _DROPPED
        return item.text

    def _merge(self, frame: _Frame, merge: _Item) -> None:
        """Add what `<<` names: what is written stands, and the first of several merges."""
        sources = merge.value if isinstance(merge.value, list) else [merge.value]
        for index, source in enumerate(sources):
            layout = (
                merge.layout.inner.get(index) if merge.layout and source is not merge.value else merge.layout
            )
            if not isinstance(source, dict) or layout is None or isinstance(layout.lines, list):
                if not frame.layout.is_broken:
                    self._problem(merge.line, "<< merges mappings only")
                return
            for key, value in source.items():
                if key in frame.value:
                    continue
                frame.value[key] = value
                frame.layout.lines[key] = layout.lines[key]
                if key in layout.inner:
                    frame.layout.inner[key] = layout.inner[key]

    def _problem(
        self, line: int, problem: str, hint: str = "", *, key: str | None = None, is_duplicate: bool = False
    ) -> None:
        path = self._path() if key is None else (*self._path(), key)
        self._problems.append(Problem(line, path, problem, hint, is_duplicate))
        for frame in self._stack:
            frame.layout.is_broken = True


def _too_deep(mark: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=mark)
