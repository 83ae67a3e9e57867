"""A proxy that tells all there is to tell, to everybody who asks: places where a key might turn up."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from llm_fallback import runtime
from llm_fallback.runtime import Runtime
from tests.support import commands
from tests.support.background import wait_until
from tests.support.clients import TIMEOUT_S, connect, http_client
from tests.support.credentials import BODY, HEADERS, QUERY
from tests.support.patient import PATIENT
from tests.support.ports import reserved_port
from tests.support.proxy import ROOT, STOP_S, Proxy, Setting
from tests.support.saved import read_flows

type Places = dict[str, bytes]

PATHS = (
    *("/", "/help", "/api/state", "/config_dump", "/clusters", "/clusters?format=json", "/stats"),
    *("/stats/prometheus", "/configuration", "/logging", "/server_info", "/ready", "/nowhere", "/page.js"),
)
LOUD = ("--set", "termlog_verbosity=debug", "--set", "flow_detail=4")
CHAT = "/v1/chat/completions"
_WEB = [sys.executable, "-c", "from mitmproxy.tools.main import mitmweb; mitmweb()"]


@dataclass(frozen=True, slots=True, repr=False)
class Stage:
    """The proxy, a folder for all that it writes, and how it is asked."""

    setting: Setting
    folder: Path
    config: Path
    proxy: Proxy

    @property
    def known(self) -> Runtime:
        """What its file tells of it."""
        return runtime.find(None, self.setting.process_environment())

    def ask(self, host: str, play: str, *, http2: bool = False) -> httpx.Response | None:
        """The answer to a request with every kind of credential; None if it breaks off."""
        with http_client(self.proxy, http2=http2) as client:
            scheme = "https" if http2 else "http"
            with suppress(httpx.RemoteProtocolError):
                return client.post(
                    f"{scheme}://{host}{CHAT}{QUERY}", content=BODY, headers={**HEADERS, "X-Play": play}
                )
        return None

    @contextmanager
    def waiting(self, host: str, play: str, has_come: Callable[[], object]) -> Iterator[None]:
        """A request that is not answered meanwhile."""
        lines = [f"POST http://{host}{CHAT}{QUERY} HTTP/1.1", f"Host: {host}", f"X-Play: {play}"]
        lines += [f"{name}: {value}" for name, value in HEADERS.items()]
        request = "\r\n".join([*lines, f"Content-Length: {len(BODY)}", "", BODY])
        with connect(self.proxy.port) as client:
            client.sendall(request.encode())
            wait_until(has_come, "the provider has the request")
            yield

    def pages(self, moment: str) -> Places:
        """What the admin page tells whoever asks, also of what cannot be."""
        known = self.known
        proof = {"Authorization": f"Bearer {known.token}", "Content-Type": "application/json"}
        found: Places = {}
        with httpx.Client(base_url=known.url, trust_env=False, timeout=TIMEOUT_S) as client:
            for path in PATHS:
                found[f"{path} {moment}"] = _whole(client.get(path))
            for name, body in _BAD_POSTS.items():
                answer = client.post(f"/api/actions/{name}", content=body, headers=proof)
                assert answer.status_code >= 400
                found[f"POST {name} {body!r} {moment}"] = _whole(answer)
            found[f"POST without proof {moment}"] = _whole(client.post("/api/actions/eject", content=b"{}"))
            found[f"POST /logging {moment}"] = _whole(client.post("/logging?level=debug", headers=proof))
        return found

    def told(self, *words: str) -> bytes:
        """What a command of ours prints."""
        done = commands.run(self.setting, self.folder, *words)
        return (done.stdout + done.stderr).encode()

    def typed(self, line: str) -> bytes:
        """What mitmproxy's prompt shows."""
        with http_client(self.proxy) as client:
            return client.post("http://prompt.invalid/", content=line).content


_BAD_POSTS = {
    "eject": b'{"place": "nowhere.test"}',
    "pin": b'{"host": "keyed.test"}',
    "fault": b'{"place": "keyed.test", "fault": {"kind": "status", "status": 9}}',
    "clear": b"no JSON",
    "nothing": b"{}",
}


def _whole(answer: httpx.Response) -> bytes:
    """The answer with its headers, whatever the status."""
    return str(answer.headers.raw).encode() + b"\n\n" + answer.content


@dataclass(slots=True)
class Reader:
    """Reads the events for as long as there are some."""

    url: str
    got: bytearray = field(default_factory=bytearray)

    def __call__(self) -> None:
        """Read; ends with the proxy."""
        with suppress(httpx.HTTPError), httpx.stream("GET", self.url, trust_env=False, timeout=60) as answer:
            for piece in answer.iter_raw():
                self.got += piece


@contextmanager
def collector() -> Iterator[tuple[str, Places]]:
    """One that takes OTLP; its address, and what has come there."""
    got: Places = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            head = str(self.headers).encode()
            content = self.rfile.read(int(self.headers["Content-Length"]))
            got[f"OTLP {self.path}"] = got.get(f"OTLP {self.path}", b"") + head + content
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def stage(setting: Setting, config: Path, folder: Path, *options: str) -> Iterator[tuple[Stage, Places]]:
    """The proxy, and afterwards also what its files, its log, its collector and its readers have."""
    patient = folder / "patient.py"
    patient.write_text(PATIENT, encoding="utf-8")
    names = ("flows.mitm", "out.har", "access.log", "ejections.log")
    flows, har, access, ejections = (folder / name for name in names)
    telling = ("llm_admin=127.0.0.1:0", f"llm_access_log={access}", f"llm_ejection_log={ejections}")
    said = ["-w", str(flows), f"--set=hardump={har}", "--set=llm_otel=true", *(f"--set={s}" for s in telling)]
    places: Places = {}
    with ExitStack() as stack:
        address, collected = stack.enter_context(collector())
        own = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, runtime.FOLDER_VARIABLE: str(folder / "run")}
        setting = replace(setting, environment={**setting.environment, **own})
        with Proxy(setting, config, *LOUD, *said, "-s", str(patient), *options) as proxy:
            proxy.wait_for_line("admin page at ")
            here = Stage(setting, folder, config, proxy)
            reader = Reader(f"{here.known.url}/api/events")
            thread = threading.Thread(target=reader)
            thread.start()
            yield here, places
        thread.join(STOP_S)
    places |= {name: (folder / name).read_bytes() for name in names}
    places |= {"the log": proxy.log.encode(), "/api/events": bytes(reader.got), **collected}


def in_mitmweb(setting: Setting, config: Path, saved: Path) -> Places:
    """What mitmweb with the addon tells of saved flows, in each of their views."""
    with reserved_port() as port:
        return _in_mitmweb(setting, config, saved, port)


def _in_mitmweb(setting: Setting, config: Path, saved: Path, port: int) -> Places:
    options = [f"web_port={port}", "web_open_browser=false", f"confdir={setting.confdir}", "web_password=it"]
    addon = ["-s", "addon/main.py", "--set", f"llm_config={config}", "-n", "-r", str(saved)]
    process = subprocess.Popen(
        [*_WEB, *addon, *(f"--set={option}" for option in options)],
        cwd=ROOT,
        env=setting.process_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    with process, httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_S) as client:
        client.headers["Authorization"] = "Bearer it"
        try:
            return _seen(client, saved)
        finally:
            process.terminate()
            process.wait(STOP_S)


def _seen(client: httpx.Client, saved: Path) -> Places:
    def flows() -> list[dict[str, Any]]:
        with suppress(httpx.TransportError, json.JSONDecodeError):
            found: list[dict[str, Any]] = client.get("/flows").json()
            return found
        return []

    count = len(read_flows(saved))
    wait_until(lambda: len(flows()) == count, f"mitmweb has the flows of {saved}")
    places = {f"mitmweb {path}": client.get(path).content for path in ("/flows", "/events", "/state")}
    for number, flow in enumerate(flows()):
        for message in ("request", "response"):
            for view in ("auto", "LLM", "raw"):
                path = f"/flows/{flow['id']}/{message}/content/{view}.json"
                places[f"mitmweb {number} {message} {view}"] = client.get(path).content
    return places
