"""An admin page for tests, and asking it."""

import asyncio
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from llm_fallback.admin import Shown, application
from llm_fallback.config.findings import Code, Finding
from llm_fallback.config.in_force import Configuration, Sources
from llm_fallback.config.snapshot import Provider, ProviderConfig, Snapshot, Target, Tls
from llm_fallback.events import Attempted, Ejected, Handled
from llm_fallback.history import History
from llm_fallback.metrics import Metrics
from llm_fallback.outlier import Endpoint, OutlierPolicy, Reason, State
from llm_fallback.status import EndpointStatus, TargetStatus

HOST = "127.0.0.1:9901"
TOKEN = "the-t0ken"
NOW, MONOTONIC = 1_700_000_001.0, 3.0

E1, E2 = Endpoint("10.0.0.1", 443), Endpoint("::1", 443)
A = Target(
    "a.com",
    80,
    (E1, E2),
    outlier=OutlierPolicy(),
    tls=Tls("sni.a.com", ()),
    provider=Provider("a", default=ProviderConfig("qwen")),
)
LOGICAL = Target("b.com", 80, (Endpoint("b.com", 443),), subset="v1")
OUT = State(Reason.CONSECUTIVE_5XX, 1.0, 11.0, 1, {Reason.CONSECUTIVE_5XX: 2})
STATUSES = (
    TargetStatus(A, (EndpointStatus(E1, 3, OUT), EndpointStatus(E2, 1, None, 9.0, active_requests=1))),
    TargetStatus(LOGICAL, (EndpointStatus(LOGICAL.endpoints[0]),)),
)
BAD_EDIT = Finding("a.yaml", 3, "LLMProvider/a", "spec.host", "is wrong", "", Code.INVALID_VALUE)
CONFIGURATION = Configuration(Sources((Path("a.yaml"),), {"app": "sleep"}), 12.5, (BAD_EDIT,))
LOST = Attempted("a.com:80", str(E1), "503", 0.1, 503, lost_after_s=0.1)
ANSWERED = Attempted("b.com:80/v1", "b.com:443", "200", 0.2, 200, began_s=0.1)
HANDLED = Handled("POST", "a.com", "r", "b.com:80/v1", "a.com:80", (LOST, ANSWERED), 200, (), 0.3, id="d1")
EJECTED = Ejected("a.com", 80, str(E1), "consecutive 5xx", 30.0, 1)


@dataclass
class Done:
    """Actions that note what they are asked for; `problem` is what they say instead."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    problem: str = ""

    def _do(self, *call: Any) -> str:
        if self.problem:
            raise ValueError(self.problem)
        self.calls.append(call)
        return f"did {call[0]}"

    def eject(self, place: str, for_s: float | None = None) -> str:
        return self._do("eject", place, for_s)

    def put_back(self, place: str) -> str:
        return self._do("put_back", place)

    def pin(self, host: str, target: str) -> str:
        return self._do("pin", host, target)

    def fault(self, place: str, fault: Mapping[str, Any]) -> str:
        return self._do("fault", place, fault)

    def clear(self, what: str = "all") -> str:
        return self._do("clear", what)

    async def reload(self) -> str:
        return self._do("reload")


def statuses() -> Iterable[TargetStatus]:
    return STATUSES


def example(**changes: Any) -> Shown:
    """A proxy with two targets, an ejection, and a request that fell back."""
    metrics, history = Metrics(), History()
    metrics.adopt((A, LOGICAL))
    history.adopt(map(str, (A, LOGICAL)))
    for event in (EJECTED, HANDLED):
        metrics.take(event)
        history.take(event, NOW)
    shown = Shown(
        metrics=metrics,
        status=statuses,
        configuration=lambda: CONFIGURATION,
        snapshot=Snapshot,
        clock=lambda: MONOTONIC,
        wall_clock=lambda: NOW,
        history=history,
        actions=Done(),
        token=TOKEN,
        proxy=lambda: ["127.0.0.1:8080"],
        version="1.2.3",
        started_at=NOW - 60,
    )
    return replace(shown, **changes)


@dataclass(frozen=True, slots=True)
class Got:
    """An answer."""

    status: int
    media_type: str
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Its data."""
        return json.loads(self.text)


def ask(
    path: str,
    *,
    method: str = "GET",
    host: str = HOST,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    shown: Shown | None = None,
) -> Got:
    """One answer of a server of its own."""

    async def play() -> Got:
        async with TestClient(TestServer(application(shown or example()))) as client:
            fields = [("Host", host), *dict(headers).items()]
            content = None if body is None else io.BytesIO(body)
            answer = await client.request(method, path, headers=fields, data=content, allow_redirects=False)
            return Got(answer.status, answer.content_type, answer.headers.copy(), await answer.text())

    return asyncio.run(play())
