"""The real mitmdump with the addon, as a process of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

from tests.support.background import wait_until
from tests.support.forking import Forked, Forks

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
STOP_S = 20.0
_LISTENING = re.compile(r" listening at \S*:(\d+)")
_NEVER_SAID = re.compile(
    r"Traceback|has crashed|Addon error|never awaited|[Uu]nclosed|was never retrieved|was destroyed but"
)
# CPython 3.12 may print this when mitmproxy ends while a client is connected; no defect of either.
_CPYTHONS_OWN = re.compile(
    r"^Exception in callback StreamReaderProtocol\.connection_made.*?^asyncio\.exceptions\.CancelledError$",
    re.DOTALL | re.MULTILINE,
)
_MITMDUMP = [sys.executable, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()"]

type Process = subprocess.Popen[bytes] | Forked


@dataclass(frozen=True, slots=True)
class Setting:
    """What all proxies of a test run share: where mitmproxy keeps its CA, whom they trust, how they start.

    With `forks`, a mitmdump is a fork of a process that has imported already; without, it is a new one, whose
    command line begins with that of the `launcher`.
    """

    confdir: Path
    ca_bundle: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    forks: Forks | None = None
    launcher: tuple[str, ...] = ()

    @property
    def client_ca(self) -> str:
        """The authority that clients of the proxy have to trust for https."""
        return str(self.confdir / "mitmproxy-ca-cert.pem")

    def from_scratch(self, *launcher: str) -> "Setting":
        """The same with every mitmdump a new process, as users start it."""
        return replace(self, forks=None, launcher=launcher)

    def command(self, config: Path | str | None, options: Sequence[str]) -> list[str]:
        """How mitmdump is started; without a config, without the addon."""
        return [*self.launcher, *_MITMDUMP, *self._arguments(config, options)]

    def _arguments(self, config: Path | str | None, options: Sequence[str]) -> list[str]:
        addon = ["-s", "addon/main.py", "--set", f"llm_config={config}"] if config is not None else []
        own = ["--set", f"confdir={self.confdir}", "--listen-host", "127.0.0.1", "--listen-port", "0"]
        return [*addon, *own, *options]

    def process_environment(self) -> dict[str, str]:
        """Ours without proxy settings and colours, and what the test adds."""
        ours = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        trusted = {"SSL_CERT_FILE": str(self.ca_bundle)}
        said = {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "NO_COLOR": "1"}
        said["LLM_FALLBACK_RUNTIME_DIR"] = str(self.confdir / "runtime")
        return {**ours, **trusted, **said, **self.environment}

    def start(self, config: Path | str | None, options: Sequence[str], log: int) -> Process:
        """Start mitmdump, whose output goes to the open file `log`."""
        if self.forks:
            return self.forks.start(self._arguments(config, options), self.process_environment(), log)
        return subprocess.Popen(
            self.command(config, options),
            cwd=ROOT,
            env=self.process_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def run_to_end(self, config: Path | str | None, *options: str) -> subprocess.CompletedProcess[str]:
        """Start mitmdump and wait until it ends by itself."""
        with TemporaryFile("w+", encoding="utf-8") as log:
            process = self.start(config, options, log.fileno())
            try:
                status = process.wait(START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)
                raise
            log.seek(0)
            return subprocess.CompletedProcess("mitmdump", status, log.read())


def without_cpythons_own(log: str) -> str:
    """The log without what CPython says about itself."""
    return _CPYTHONS_OWN.sub("", re.sub(r"^\[[0-9:.]+\] ", "", log, flags=re.MULTILINE))


class Proxy:
    """A running mitmdump; `with` starts it, stops it, and asserts that its log is free of crashes."""

    def __init__(self, setting: Setting, config: Path | str | None, *options: str) -> None:
        self.setting = setting
        self.port = 0
        self._config = config
        self._options = options
        self._process: Process | None = None
        self._printed = TemporaryFile(buffering=0)  # noqa: SIM115 - `stop` closes it
        self._printed_in_all: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._process = self.setting.start(self._config, self._options, self._printed.fileno())
            listening = _LISTENING.search(self.wait_for_line(_LISTENING.pattern, within_s=START_S))
        except BaseException:
            self.stop()
            raise
        assert listening
        self.port = int(listening[1])
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None:
            assert not _NEVER_SAID.search(without_cpythons_own(self.log)), "a crash in the log:\n" + self.log

    @property
    def url(self) -> str:
        """Its address, as clients want it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        """What it has printed until this moment, without a line that has only begun."""
        if self._printed.closed:
            return self._printed_in_all
        descriptor = self._printed.fileno()
        printed = os.pread(descriptor, os.fstat(descriptor).st_size, 0)  # at no position, which is its own
        return printed.decode(errors="replace").split("\n")[:-1]

    @property
    def log(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process
        return self._process.pid

    def requests(self) -> list[str]:
        """The log's lines about managed requests that are over."""
        return [
            line for line in self.lines if re.search(r" \| (\d{3}|no answer)( [A-Z,]+)? in \d+ ms$", line)
        ]

    def wait_for_line(self, pattern: str, *, number: int = 0, within_s: float = 20.0) -> str:
        """The first line that matches, or the one after so many others; it may still have to come."""

        def matching() -> list[str]:
            return [line for line in self.lines if re.search(pattern, line)]

        def is_decided() -> bool:
            return len(matching()) > number or self._has_ended()

        try:
            wait_until(is_decided, "decided", within_s=within_s)
            return matching()[number]
        except (AssertionError, IndexError):
            message = f"no line {number + 1} with {pattern!r} in the log:\n{self.log}"
            raise AssertionError(message) from None

    def wait(self) -> int:
        """The status with which it ends by itself."""
        assert self._process
        return self._process.wait(STOP_S)

    def stop(self) -> None:
        """End it in an orderly way, or else with force."""
        try:
            if self._process:
                self._end(self._process)
        finally:
            self._printed_in_all = self.lines
            self._printed.close()

    def _end(self, process: Process) -> None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
            raise AssertionError(f"mitmdump did not end within {STOP_S:g} s:\n{self.log}") from None

    def _has_ended(self) -> bool:
        assert self._process
        return self._process.poll() is not None
