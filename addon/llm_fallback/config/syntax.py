"""What to say about text that is not YAML: libyaml's words, and what people mostly did to earn them."""

import re

import yaml

_TEMPLATE = re.compile(r"\{\{-?\s*(?:[.$(/]|(?:if|else|end|range|with|include|define|template|toYaml|tpl)\b)")
_QUOTES = "put the value in quotes"
_INDENTATION = "check the indentation of this line and of the lines above it"
_HINTS = {
    "mapping values are not allowed in this context": (
        "put a value with ': ' in it in quotes, or check the indentation"
    ),
    "did not find expected alphabetic or numeric character": "put a value that begins with * or & in quotes",
    "did not find expected key": _INDENTATION,
    "did not find expected '-' indicator": _INDENTATION,
    "did not find expected <document start>": "separate documents with a line ---",
    "found character that cannot start any token": _QUOTES,
    "nested too deeply": "a resource is never that deep",
}


def is_template(text: str) -> bool:
    """Whether there is an expression of a Helm (Go) template in it."""
    return _TEMPLATE.search(text) is not None


def template_line(text: bytes) -> int | None:
    """The line of the first expression of a Helm template that is not in a comment."""
    if b"{{" not in text:
        return None
    lines = enumerate(text.decode(errors="replace").split("\n"), 1)
    return next((n for n, line in lines if is_template(line) and not line.lstrip().startswith("#")), None)


def explain(error: Exception, text: bytes) -> tuple[int | None, str, str]:
    """Line, problem and hint of what kept a file from being read to its end."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        problem = error.problem or error.context or "it cannot be read"
        if "unexpected end of stream" in problem and "quoted scalar" in (error.context or ""):
            opened = error.context_mark.line + 1 if error.context_mark else line
            return opened, "not valid YAML: the quote that opens here is never closed", ""
        if mark and problem == "found character that cannot start any token" and _is_tab(text, mark):
            return line, "not valid YAML: a tab where only spaces may be", "indent with spaces"
        return line, f"not valid YAML: {problem}", _HINTS.get(problem, "")
    reason = getattr(error, "reason", None)
    position = getattr(error, "position", None)
    line = text.count(b"\n", 0, position) + 1 if isinstance(position, int) else None
    hint = "save the file as UTF-8" if reason and "UTF-8" in reason else ""
    return line, f"not valid YAML: {reason or 'it is not text'}", hint


def _is_tab(text: bytes, mark: yaml.Mark) -> bool:
    lines = text.splitlines()
    return mark.line < len(lines) and b"\t" in lines[mark.line][: mark.column + 1]
