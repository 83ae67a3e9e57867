"""The pages of the admin page, as clients get them."""

import logging
from collections.abc import Iterable

import pytest

from llm_fallback.status import TargetStatus
from tests.admin.serving import BAD_EDIT, ask, example

ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "llm-fallback",
}


def broken() -> Iterable[TargetStatus]:
    raise RuntimeError("sk-in-the-message")


@pytest.mark.parametrize(
    ("path", "status", "media", "part"),
    [
        ("/ready", 200, "text/plain", "LIVE\n"),
        ("/configuration", 200, "application/json", "a.yaml:3: LLMProvider/a: spec.host: is wrong"),
        ("/", 200, "text/plain", "  /stats/prometheus: "),
        ("/stats", 200, "text/plain", "cluster.outbound|80|v1|b.com.upstream_rq_200: 1\n"),
        ("/stats?format=prometheus", 200, "text/plain", "# TYPE istio_requests_total counter\n"),
        ("/stats/prometheus", 200, "text/plain", "# TYPE istio_requests_total counter\n"),
        ("/clusters", 200, "text/plain", "outbound|80||a.com::[::1]:443::rq_active::1\n"),
        ("/clusters?format=json", 200, "application/json", '"cluster_statuses"'),
        ("/stats?filter=(", 400, "text/plain", "filter: not a regex in RE2's syntax\n"),
        ("/stats?format=html", 400, "text/plain", "format: there are text and prometheus\n"),
        ("/help", 200, "text/plain", "  /config_dump: "),
        ("/server_info", 200, "application/json", '"uptime_current_epoch": "60s"'),
        ("/nowhere", 404, "text/plain", "no such path. There are:\n  /: "),
        ("/page/index.html", 404, "text/plain", "no such path. There are:\n"),
        ("/../pages.py", 404, "text/plain", "no such path. There are:\n"),
    ],
)
def test_a_page(path: str, status: int, media: str, part: str) -> None:
    """Its status, type and text; headers that keep browsers from guessing, keeping and framing it."""
    got = ask(path)

    assert (got.status, got.media_type) == (status, media)
    assert part in got.text
    assert {name: got.headers[name] for name in ALWAYS} == ALWAYS
    assert not [name for name in got.headers if name.lower().startswith("access-control")]


def test_the_list_can_be_narrowed() -> None:
    """As Envoy's."""
    got = ask("/stats?usedonly&filter=b.com.upstream_rq_(200|retry)$")
    assert got.text == "cluster.outbound|80|v1|b.com.upstream_rq_200: 1\n"


@pytest.mark.parametrize("path", ["/ready", "/stats", "/clusters"])
def test_head(path: str) -> None:
    """As GET, without a body."""
    got = ask(path, method="HEAD")
    assert (got.status, got.text) == (200, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_pages_only_show(method: str) -> None:
    """There is nothing that they change."""
    got = ask("/stats", method=method)
    assert (got.status, got.headers["Allow"]) == (405, "GET,HEAD")
    assert got.headers["X-Content-Type-Options"] == "nosniff"


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
        ("evil@127.0.0.1", 403),
        ("127.0.0.1#evil", 403),
        ("127.0.0.1/evil", 403),
        ("127.0.0.1?evil", 403),
        ("127.0.0.1:1:2", 403),
        ("127.0.0.1:", 403),
        ("::1", 403),
        ("[127.0.0.1]", 403),
        ("127.1", 403),
        ("localhost.", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_the_host_has_to_be_this_machine(host: str, status: int) -> None:
    """Or else a web page could read it, whose name is made to lead here."""
    got = ask("/stats", host=host)
    assert got.status == status
    assert ("outbound" in got.text) is (status == 200)


def test_a_defect_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """And a line in the log, without what the error says."""
    with caplog.at_level(logging.DEBUG):
        got = ask("/stats", shown=example(status=broken))

    assert (got.status, got.text) == (500, "llm-fallback failed to make this page; its log says why\n")
    assert "the admin page /stats failed: RuntimeError" in caplog.text
    assert "sk-in-the-message" not in caplog.text


def test_health_in_json() -> None:
    """Ejected by outlier detection, out on its own demand, in rotation; the name of a logical endpoint."""
    got = ask("/clusters?format=json")

    hosts = [host for cluster in got.json["cluster_statuses"] for host in cluster["host_statuses"]]
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
    got = ask("/clusters")
    flags = [line.rpartition("::")[2] for line in got.text.splitlines() if "::health_flags::" in line]
    assert flags == ["/failed_outlier_check", "/failed_eds_health", "healthy"]


def test_a_bad_edit_is_told() -> None:
    """The configuration in force is the one before, and this is why."""
    told = ask("/configuration").json
    assert told["findings"] == [{"severity": "error", "text": str(BAD_EDIT)}]
    assert (told["is_current"], told["loaded_at"], told["sources"], told["workload"]) == (
        False,
        12.5,
        ["a.yaml"],
        {"app": "sleep"},
    )


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("TEXT/HTML", True),
        ("text/plain;q=0.5, text/html", True),
        ("text/html;q=0.5, text/plain", False),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
        ("application/json, text/html;q=0.9", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_who_gets_the_web_page(accept: str, is_page: bool) -> None:  # noqa: FBT001
    """A browser; everybody else gets the list."""
    got = ask("/", headers={"Accept": accept})

    assert got.media_type == ("text/html" if is_page else "text/plain")
    assert got.headers["Vary"] == "Accept"
    assert got.text.startswith("<!doctype html>" if is_page else "  /: ")


@pytest.mark.parametrize(
    ("path", "media"),
    [("/page.css", "text/css"), ("/page.js", "text/javascript"), ("/index.html", "text/html")],
)
def test_what_the_web_page_may_do(path: str, media: str) -> None:
    """Run its own files, speak to its own proxy, and nothing else."""
    got = ask(path)
    policy = dict(part.split(" ", 1) for part in got.headers["Content-Security-Policy"].split("; "))

    assert (got.status, got.media_type) == (200, media)
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert got.headers["X-Content-Type-Options"] == "nosniff"
