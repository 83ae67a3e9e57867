"""A file of JSON lines that others rotate, and that never holds up or fails a request."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

STANDARD_OUTPUT = "-"

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_MODE = 0o640  # there are addresses of clients in it

logger = logging.getLogger("llm-fallback")


class Lines:
    """Appends a line for each entry, in one write; a file that was renamed or removed is made anew.

    `option` is whose file it is, in messages. A disk that does not take a line costs that line, and one
    warning until it takes one again. Raises OSError if the file cannot be opened at the start.
    """

    def __init__(self, path: str, option: str) -> None:
        self._path = path
        self._option = option
        self._file: int | None = None
        self._identity: tuple[int, int] | None = None
        self._has_warned = False
        if path != STANDARD_OUTPUT:
            self._open()

    def add(self, entry: Mapping[str, Any]) -> None:
        """Write it, if that is possible; never raises."""
        line = json.dumps(entry, separators=(",", ":")) + "\n"
        try:
            if self._path == STANDARD_OUTPUT:
                sys.stdout.write(line)
                sys.stdout.flush()
            else:
                self._write(line.encode())
            self._has_warned = False
        except (OSError, ValueError) as error:  # a closed standard output is a ValueError
            self._warn(error)
            self.close()

    def close(self) -> None:
        """Let go of the file; the next entry opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: bytes) -> None:
        if self._file is None or self._is_another():
            self.close()
            self._open()
        assert self._file is not None  # noqa: S101 - it has just been opened
        if (written := os.write(self._file, line)) < len(line):
            raise OSError(f"only {written} of {len(line)} bytes were taken")

    def _open(self) -> None:
        self._file = os.open(self._path, _FLAGS, _MODE)
        found = os.fstat(self._file)
        self._identity = found.st_dev, found.st_ino

    def _is_another(self) -> bool:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - it takes a third of Path's time, for each request
        except FileNotFoundError:
            return True
        return (found.st_dev, found.st_ino) != self._identity

    def _warn(self, error: OSError | ValueError) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "%s: %s: %s; lines are lost, requests are not", self._option, self._path, reason(error)
        )


def reason(error: Exception) -> str:
    """What is wrong, without the number and the name of the file."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
