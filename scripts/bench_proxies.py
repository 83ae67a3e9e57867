"""The benchmark's processes: the upstream, and one mitmdump per contender.

Run as a program it is mitmdump under a profiler: `bench_proxies.py STATISTICS FLAG...`.
"""

import cProfile
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import trustme

REPOSITORY = Path(__file__).parent.parent
PLAIN_HOST = "bench.example.com"
TLS_HOST = "bench-tls.example.com"
PROVIDER_PATH = "/compatible-mode/v1/chat/completions"
MODEL = "bench-model"
KEY = "bench-key"

_START_TIMEOUT_S = 30
# mitmdump listens before it gives up on an addon that logged an error.
_GRACE_S = 0.5
_TAIL_LINES = 15
_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_START_PROFILER = signal.SIGPROF  # mitmproxy takes SIGUSR1 and SIGUSR2 for its own dumps

_PROVIDER = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: {name}
  annotations:
    asm.alibabacloud.com/custom-destinationrule: "{custom}"
spec:
  host: {host}
  path: {path}
  configs:
    defaultConfig:
      openAIConfig:
        model: {model}
        stream: false
        apiKey: {key}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
spec:
  hosts: [{host}]
  ports:
  - number: 80
    name: http
    protocol: HTTP
    targetPort: {port}
  resolution: STATIC
  endpoints:
  - address: 127.0.0.1
"""

_PLAIN_DESTINATION_RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {name}
spec:
  host: {host}
  trafficPolicy:
    tls:
      mode: DISABLE
"""


class StartError(Exception):
    """A process did not come up; the message carries what it printed."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """What all processes of a run share: a directory with the CA, and the upstream's ports."""

    directory: Path
    plain_port: int
    tls_port: int

    @property
    def ca(self) -> Path:
        """The certificate authority that signed the upstream's certificate."""
        return self.directory / "ca.pem"


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to run mitmdump; in its flags `{config}` is the generated configuration, `{directory}` ours."""

    name: str
    about: str
    flags: tuple[str, ...] = ()
    finds_upstream: bool = False  # the client asks for the host's name, not for the upstream's address


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running mitmdump."""

    contender: Contender
    process: "subprocess.Popen[bytes]"
    output: Path
    port: int

    def cpu_seconds(self) -> float:
        """User and system time of all the process's threads, to the nanosecond."""
        # Linux' clock_getcpuclockid(3), which Python does not offer; /proc/PID/stat counts in steps of 10 ms.
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def start_profiler(self) -> None:
        """Count from here on; the statistics are written when the process ends."""
        self.process.send_signal(_START_PROFILER)

    def last_words(self) -> str:
        """The end of what it printed, and its exit status if it has ended."""
        tail = self.output.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        status = self.process.poll()
        return "\n".join(tail if status is None else [*tail, f"exit status {status}"])


def shared_flags(workspace: Workspace) -> list[str]:
    """The flags every contender gets: mitmdump's defaults, apart from where it listens and whom it trusts."""
    return [
        *("--listen-host", "127.0.0.1", "--listen-port", "0"),
        *("--set", f"confdir={workspace.directory / 'confdir'}"),
        *("--set", f"ssl_verify_upstream_trusted_ca={workspace.ca}"),
    ]


@contextmanager
def upstream(directory: Path) -> Iterator[Workspace]:
    """Run the upstream, with a new certificate authority in `directory`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate = directory / "upstream.pem"
    authority.issue_cert(PLAIN_HOST, TLS_HOST, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        certificate
    )
    command = [sys.executable, str(Path(__file__).with_name("bench_upstream.py")), str(certificate)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ports = process.stdout.readline().split()
        if len(ports) != 2:
            raise StartError("the upstream printed no ports; its output is above")
        yield Workspace(directory, int(ports[0]), int(ports[1]))
    finally:
        _stop(process)


def write_configuration(workspace: Workspace) -> Path:
    """Write the mesh YAML that maps both hosts to the upstream, and return its directory."""
    directory = workspace.directory / "config"
    directory.mkdir(exist_ok=True)
    shared = {"path": PROVIDER_PATH, "model": MODEL, "key": KEY}
    plain = {"name": "bench", "host": PLAIN_HOST, "port": workspace.plain_port, "custom": "true"}
    tls = {"name": "bench-tls", "host": TLS_HOST, "port": workspace.tls_port, "custom": "false"}
    documents = (
        _PROVIDER.format(**shared, **plain),
        _PLAIN_DESTINATION_RULE.format(**plain),
        _PROVIDER.format(**shared, **tls),
    )
    (directory / "bench.yaml").write_text("---\n".join(documents))
    return directory


@contextmanager
def running(contender: Contender, workspace: Workspace, statistics: Path | None = None) -> Iterator[Proxy]:
    """Run a contender, under a profiler if it is told where to leave its statistics."""
    config = write_configuration(workspace)
    places = {"config": config, "directory": workspace.directory}
    flags = [*shared_flags(workspace), *(flag.format(**places) for flag in contender.flags)]
    output = workspace.directory / f"{contender.name}.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*_program(statistics), *flags],
            cwd=REPOSITORY,
            env=_environment(workspace),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Proxy(contender, process, output, _wait_for_port(process, output))
    finally:
        _stop(process)


def _program(statistics: Path | None) -> list[str]:
    if statistics is not None:
        return [sys.executable, __file__, str(statistics)]
    return [str(Path(sys.executable).with_name("mitmdump"))]


def _environment(workspace: Workspace) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name.lower() not in _PROXY_VARIABLES}
    shared = {"path": PROVIDER_PATH, "model": MODEL, "key": KEY}
    targets = {
        PLAIN_HOST: {"scheme": "http", "port": str(workspace.plain_port), **shared},
        TLS_HOST: {"scheme": "https", "port": str(workspace.tls_port), **shared},
    }
    return {
        **inherited,
        "SSL_CERT_FILE": str(workspace.ca),
        "BENCH_NAIVE_TARGETS": json.dumps(targets),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{workspace.plain_port}",
        "LLM_FALLBACK_RUNTIME_DIR": str(workspace.directory / "runtime"),
    }


def _wait_for_port(process: "subprocess.Popen[bytes]", output: Path) -> int:
    """Wait for mitmdump to say where it listens, and for it to stay up."""
    deadline = time.perf_counter() + _START_TIMEOUT_S
    while process.poll() is None and time.perf_counter() < deadline:
        _, found, rest = output.read_text(errors="replace").partition("proxy listening at 127.0.0.1:")
        port = rest.partition("\n")[0].rstrip(".")
        if found and port.isdecimal() and _accepts(int(port)) and _stays_up(process):
            return int(port)
        time.sleep(0.05)
    _stop(process)
    raise StartError(output.read_text(errors="replace") or f"exit status {process.returncode}, no output")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stays_up(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _stop(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _run_profiled(statistics: str, flags: list[str]) -> None:
    from mitmproxy.tools.main import mitmdump  # noqa: PLC0415 - the benchmark itself does not need mitmproxy

    profiler = cProfile.Profile()

    def start(_signal: int, _frame: FrameType | None) -> None:
        profiler.enable()

    signal.signal(_START_PROFILER, start)
    sys.argv = ["mitmdump", *flags]
    try:
        mitmdump()
    finally:
        profiler.disable()
        profiler.dump_stats(statistics)


if __name__ == "__main__":
    _run_profiled(sys.argv[1], sys.argv[2:])
