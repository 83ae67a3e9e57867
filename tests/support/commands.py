"""Our commands as processes, with the environment of a test's proxies."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.proxy import ROOT, STOP_S, Setting

TIMEOUT_S = 60.0
_PROGRAM = "import sys; from llm_fallback.cli import main; sys.exit(main())"


def llm_fallback(*arguments: str | Path) -> list[str]:
    """The command line."""
    return [sys.executable, "-c", _PROGRAM, *map(str, arguments)]


def environment(setting: Setting, **more: str) -> dict[str, str]:
    """That of the proxies of a test run; the addon is not installed in it."""
    return {**setting.process_environment(), "PYTHONPATH": str(ROOT / "addon"), **more}


def run(
    setting: Setting, folder: Path, *arguments: str | Path, stdin: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """A command to its end, in a folder."""
    return subprocess.run(
        llm_fallback(*arguments),
        cwd=folder,
        env=environment(setting, TMPDIR=str(folder), **more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


class Running:
    """A command that goes on, and what it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        self._out = process.stdout

    def line(self) -> str:
        """Its next line of output; empty when it has ended."""
        watch = threading.Timer(TIMEOUT_S, self._kill)
        watch.start()
        try:
            return self._out.readline().rstrip("\n")
        finally:
            watch.cancel()

    def _kill(self) -> None:
        """End it and what it has started, which would keep its output open."""
        for pid in [*children(self.process.pid), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def lines_to(self, what: str) -> list[str]:
        """Its lines up to one with these words."""
        lines: list[str] = []
        while not lines or what not in lines[-1]:
            lines.append(self.line())
            assert lines[-1], f"no line with {what!r} in {lines}"
        return lines

    def end(self) -> tuple[int, str, str]:
        """Its status, and the rest of what it says."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out, err


@contextmanager
def running(
    setting: Setting,
    folder: Path,
    *arguments: str | Path,
    ignored: Sequence[signal.Signals] = (),
    **more: str,
) -> Iterator[Running]:
    """A command, some signals of which are ignored from the beginning; it is over at the end."""
    env = environment(setting, TMPDIR=str(folder), **more)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        process = subprocess.Popen(
            llm_fallback(*arguments),
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    with process:
        try:
            yield Running(process)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    if shutil.which("pgrep"):
        found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    else:
        place = Path(f"/proc/{pid}/task/{pid}/children")
        found = place.read_text(encoding="ascii") if place.exists() else ""
    return [int(child) for child in found.split()]


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
