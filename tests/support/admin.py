"""An admin API that says what a test wants, and programs that find it."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llm_fallback import runtime
from llm_fallback.runtime import Runtime

TOKEN = "the-token-of-a-test"


@dataclass
class Asked:
    """A request that came."""

    path: str
    token: str | None
    data: Any


@dataclass
class Admin:
    """What it answers: by path, a status and a text or data."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    address: str = ""

    def answer(self, path: str, token: str | None, data: Any) -> tuple[int, bytes]:
        """The answer to a request."""
        self.asked.append(Asked(path, token, data))
        status, answer = self.answers.get(path, (404, {"error": "no such path"}))
        return status, answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()


@contextmanager
def serving(admin: Admin) -> Iterator[None]:
    """Have it listen."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(json.loads(body))

        def _answer(self, data: Any) -> None:
            status, content = admin.answer(self.path, self.headers["Authorization"], data)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        admin.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def announce(folder: Path, monkeypatch: pytest.MonkeyPatch, *admins: str) -> None:
    """Make it, or several, known to programs of this account; each is a process that runs."""
    monkeypatch.setenv(runtime.FOLDER_VARIABLE, str(folder))
    for number, (pid, address) in enumerate(zip((os.getpid(), os.getppid()), admins, strict=False)):
        runtime.write(Runtime(pid, ("127.0.0.1:8080",), address, TOKEN, 1000.0 + number))


def state(**more: Any) -> Mapping[str, Any]:
    """A state as the API tells it."""
    endpoints = [
        {"address": "10.0.0.1:443", "state": "ejected", "reason": "consecutive 5xx", "returns_in_s": 8.4},
        {"address": "10.0.0.2:443", "state": "in rotation", "reason": None, "returns_in_s": None},
    ]
    return {
        "now": 1300.0,
        "started_at": 1000.0,
        "configuration": {"is_current": True},
        "targets": [
            {"name": "a.com:80", "requests": 12, "failures": 3, "endpoints": endpoints},
            {"name": "b.com:80", "requests": 0, "failures": 0, "endpoints": []},
        ],
        "pins": [],
        "faults": [],
        "decisions": [],
        **more,
    }
