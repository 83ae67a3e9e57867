"""The pages of the admin page, as clients get them."""

import asyncio
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from llm_fallback.admin import Shown, application
from llm_fallback.config.findings import Code, Finding
from llm_fallback.config.in_force import Configuration, Sources
from llm_fallback.config.snapshot import Target
from llm_fallback.events import Attempted, Handled
from llm_fallback.metrics import Metrics
from llm_fallback.outlier import Endpoint, OutlierPolicy, Reason, State
from llm_fallback.status import EndpointStatus, TargetStatus

E1, E2 = Endpoint("10.0.0.1", 443), Endpoint("::1", 443)
A = Target("a.com", 80, (E1, E2), outlier=OutlierPolicy())
LOGICAL = Target("b.com", 80, (Endpoint("b.com", 443),))
OUT = State(Reason.CONSECUTIVE_5XX, 1.0, 11.0, 1, {})
STATUSES = (
    TargetStatus(A, (EndpointStatus(E1, 3, OUT), EndpointStatus(E2, 1, None, 9.0, active_requests=1))),
    TargetStatus(LOGICAL, (EndpointStatus(LOGICAL.endpoints[0]),)),
)
BAD_EDIT = Finding("a.yaml", 3, "LLMProvider/a", "spec.host", "is wrong", "", Code.INVALID_VALUE)
CONFIGURATION = Configuration(Sources((Path("a.yaml"),), {"app": "sleep"}), 12.5, (BAD_EDIT,))
ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "llm-fallback",
}


def statuses() -> Iterable[TargetStatus]:
    return STATUSES


def broken() -> Iterable[TargetStatus]:
    raise RuntimeError("sk-in-the-message")


def ask(
    path: str, *, method: str = "GET", host: str = "127.0.0.1:9901", shown: Shown | None = None
) -> tuple[ClientResponse, str]:
    """One answer of a server of its own."""
    metrics = Metrics()
    metrics.adopt((A, LOGICAL))
    attempt = Attempted("a.com:80", str(E1), "503", 0.1, 503)
    metrics.take(Handled("POST", "a.com", "r", "a.com:80", None, (attempt,), 503, (), 0.1))

    async def play() -> tuple[ClientResponse, str]:
        pages = application(shown or Shown(metrics, statuses, lambda: CONFIGURATION))
        async with TestClient(TestServer(pages)) as client:
            response = await client.request(method, path, headers={"Host": host}, allow_redirects=False)
            return response, await response.text()

    return asyncio.run(play())


@pytest.mark.parametrize(
    ("path", "status", "media", "part"),
    [
        ("/ready", 200, "text/plain", "LIVE\n"),
        ("/configuration", 200, "application/json", "a.yaml:3: LLMProvider/a: spec.host: is wrong"),
        ("/", 200, "text/plain", "  /stats/prometheus: "),
        ("/stats", 200, "text/plain", "cluster.outbound|80||a.com.upstream_rq_503: 1\n"),
        ("/stats?format=prometheus", 200, "text/plain", "# TYPE istio_requests_total counter\n"),
        ("/stats/prometheus", 200, "text/plain", "# TYPE istio_requests_total counter\n"),
        ("/clusters", 200, "text/plain", "outbound|80||a.com::[::1]:443::rq_active::1\n"),
        ("/clusters?format=json", 200, "application/json", '"cluster_statuses"'),
        ("/stats?filter=(", 400, "text/plain", "filter: not a regex in RE2's syntax\n"),
        ("/stats?format=html", 400, "text/plain", "format: there are text and prometheus\n"),
        ("/config_dump", 404, "text/plain", "no such path. There are:\n"),
    ],
)
def test_a_page(path: str, status: int, media: str, part: str) -> None:
    """Its status, type and text; headers that keep browsers from guessing, keeping and framing it."""
    response, text = ask(path)

    assert (response.status, response.content_type) == (status, media)
    assert part in text
    assert {name: response.headers[name] for name in ALWAYS} == ALWAYS
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_the_list_can_be_narrowed() -> None:
    """As Envoy's."""
    _, text = ask("/stats?usedonly&filter=a.com.upstream_rq_(503|retry)$")
    assert text == "cluster.outbound|80||a.com.upstream_rq_503: 1\n"


@pytest.mark.parametrize("path", ["/ready", "/stats", "/clusters"])
def test_head(path: str) -> None:
    """As GET, without a body."""
    response, text = ask(path, method="HEAD")
    assert (response.status, text) == (200, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(method: str) -> None:
    """There are only pages to look at."""
    response, _ = ask("/stats", method=method)
    assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9901", 200),
        ("127.0.0.1", 200),
        ("127.8.8.8:1", 200),
        ("[::1]:9901", 200),
        ("rebound.example.com:9901", 403),
        ("localhost.example.com", 403),
        ("127.0.0.1.example.com", 403),
        ("10.0.0.1", 403),
        ("0.0.0.0", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_the_host_has_to_be_this_machine(host: str, status: int) -> None:
    """Or else a web page could read it, whose name is made to lead here."""
    response, text = ask("/stats", host=host)
    assert response.status == status
    assert ("outbound" in text) is (status == 200)


def test_a_defect_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """And a line in the log, without what the error says."""
    with caplog.at_level(logging.DEBUG):
        response, text = ask("/stats", shown=Shown(Metrics(), broken, lambda: CONFIGURATION))

    assert (response.status, text) == (500, "llm-fallback failed to make this page; its log says why\n")
    assert "the admin page /stats failed: RuntimeError" in caplog.text
    assert "sk-in-the-message" not in caplog.text


def test_health_in_json() -> None:
    """Ejected by outlier detection, out on its own demand, in rotation; the name of a logical endpoint."""
    _, text = ask("/clusters?format=json")

    hosts = [host for cluster in json.loads(text)["cluster_statuses"] for host in cluster["host_statuses"]]
    assert [host["health_status"] for host in hosts] == [
        {"failed_outlier_check": True, "eds_health_status": "HEALTHY"},
        {"eds_health_status": "UNHEALTHY"},
        {"eds_health_status": "HEALTHY"},
    ]
    assert [host.get("hostname") for host in hosts] == [None, None, "b.com"]
    assert [host["weight"] for host in hosts] == [3, 1, 1]
    assert hosts[1]["address"] == {"socket_address": {"address": "::1", "port_value": 443}}


def test_health_in_text() -> None:
    """Envoy's flags."""
    _, text = ask("/clusters")
    flags = [line.rpartition("::")[2] for line in text.splitlines() if "::health_flags::" in line]
    assert flags == ["/failed_outlier_check", "/failed_eds_health", "healthy"]


def test_a_bad_edit_is_told() -> None:
    """The configuration in force is the one before, and this is why."""
    _, text = ask("/configuration")

    told = json.loads(text)
    assert told["findings"] == [{"severity": "error", "text": str(BAD_EDIT)}]
    assert (told["is_current"], told["loaded_at"], told["sources"], told["workload"]) == (
        False,
        12.5,
        ["a.yaml"],
        {"app": "sleep"},
    )
