"""From the paths that people name to the bytes that are there."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm_fallback.config.findings import Code, Finding

STANDARD_INPUT = Path("-")
MAX_BYTES = 64 * 1024 * 1024

_SHELLS_PIPES = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")

SUFFIXES = (".yaml", ".yml", ".json")
"""How the names of a folder's files end that are read, in lower case."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one file holds; `name` is its path as people wrote it."""

    name: str
    text: bytes


def read_files(paths: Iterable[Path], stdin: BinaryIO | None = None) -> Iterator[Source | Finding]:
    """Each file once, in the order of the paths, and a finding for each that cannot be read.

    Of a folder: its YAML and JSON files by name, neither sub-folders nor names that begin with a dot
    (editors keep copies there, and Kubernetes the versions of a mounted ConfigMap). With `stdin`, `-` is that
    and the pipes that shells pass by name (`<(...)`) are read as well: that works only once.
    """
    seen: set[str] = set()
    for path in paths:
        if path == STANDARD_INPUT and stdin is not None:
            if (name := "<stdin>") not in seen:
                seen.add(name)
                yield _limited(name, stdin)
            continue
        for file in _files(path, with_pipes=stdin is not None):
            if isinstance(file, Finding):
                yield file
                continue
            identity = os.path.realpath(file)
            if identity not in seen:
                seen.add(identity)
                yield _read(file)


def _files(path: Path, *, with_pipes: bool) -> Iterator[Path | Finding]:
    try:
        mode = path.stat().st_mode
        inside = sorted(path.iterdir()) if stat.S_ISDIR(mode) else []
    except FileNotFoundError:
        hint = "correct the path" if path.is_absolute() else f"correct the path; it means {path.absolute()}"
        yield Finding(str(path), None, "", "", "does not exist", hint, Code.NO_CONFIGURATION)
        return
    except (OSError, ValueError) as error:
        yield _unreadable(path, error)
        return
    if not stat.S_ISDIR(mode):
        if stat.S_ISREG(mode) or (with_pipes and stat.S_ISFIFO(mode) and _is_of_the_shell(path)):
            yield path
            return
        problem, hint = "is no regular file or folder", "write what it gives into a file, and name that"
        yield Finding(str(path), None, "", "", problem, hint, Code.NO_CONFIGURATION)
        return
    files = [file for file in inside if _is_meant(file)]
    yield from files
    if not files:
        problem = "holds no .yaml, .yml or .json file"
        yield Finding(str(path), None, "", "", problem, "sub-folders are not read", Code.NO_CONFIGURATION)


def _is_of_the_shell(pipe: Path) -> bool:
    """Whether somebody writes into a pipe for sure; another might be waited for in vain."""
    return str(pipe.absolute()).startswith(_SHELLS_PIPES)


def _is_meant(file: Path) -> bool:
    """Whether a file of a folder is for us; a link to nowhere is, so that somebody says so."""
    if file.name.startswith(".") or not file.name.lower().endswith(SUFFIXES):
        return False
    return file.is_file() or (file.is_symlink() and not file.exists())


def _read(file: Path) -> Source | Finding:
    try:
        with file.open("rb") as opened:
            return _limited(str(file), opened)
    except (OSError, ValueError) as error:
        return _unreadable(file, error)


def _limited(name: str, opened: BinaryIO) -> Source | Finding:
    text = opened.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        problem = f"is larger than {MAX_BYTES // 1024**2} MiB"
        return Finding(name, None, "", "", problem, "split it", Code.TOO_LARGE)
    return Source(name, text)


def _unreadable(path: Path, error: Exception) -> Finding:
    reason = error.strerror if isinstance(error, OSError) else "not a path"
    return Finding(str(path), None, "", "", f"cannot be read: {reason}", "", Code.NO_CONFIGURATION)
