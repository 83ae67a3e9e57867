"""The admin page of the real proxy: an outage in Envoy's words, and never in the proxy's way."""

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from standin import StandIn
from tests.e2e.test_start import assert_refused
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, TIMEOUT_S, ask, http_client
from tests.support.mesh import Host, write_mesh
from tests.support.proxy import Proxy, Setting
from tests.support.secret import Secret, leaks

ADMIN = ("--set", "llm_admin=127.0.0.1:0")
PAGES = ("/", "/ready", "/stats", "/stats/prometheus", "/clusters", "/clusters?format=json", "/nowhere")
KEY = Secret("the provider's key", "sk-provider-3c7f1e9a")
BEARER = Secret("the client's Authorization", "sk-client-0a4d8b62")
QUERY_KEY = Secret("the client's ?api-key=", "client-query-key-77f0")
SWITCH = """
from mitmproxy import ctx, exceptions, http

def request(flow):
    if flow.request.host == "switch.invalid":
        try:
            ctx.options.update(llm_admin=flow.request.query["to"])
            flow.response = http.Response.make(204)
        except exceptions.OptionsError as error:
            flow.response = http.Response.make(400, str(error))
"""


def admin_of(proxy: Proxy, number: int = 0) -> httpx.Client:
    """A client of its admin page, or of the one that it has opened after so many others."""
    told = proxy.wait_for_line(r"admin page at ", number=number)
    return httpx.Client(base_url=told.rpartition("at ")[2], trust_env=False, timeout=TIMEOUT_S)


def value(admin: httpx.Client, name: str, **labels: str) -> float:
    """The sum of the samples with this name and these labels."""
    text = admin.get("/stats/prometheus").raise_for_status().text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def flags_of(admin: httpx.Client, cluster: str) -> str:
    """The health flags of a cluster's only endpoint."""
    lines = admin.get("/clusters").raise_for_status().text.splitlines()
    (flags,) = (line for line in lines if line.startswith(f"{cluster}::") and "::health_flags::" in line)
    return flags.rpartition("::")[2]


def test_an_outage(background: Background, authority: Authority, setting: Setting, tmp_path: Path) -> None:
    """The flag of the first answer, the ejection, the fallback, and the return."""
    fallback = StandIn(tls=authority.issue("fallback.test"))
    cluster = "outbound|80||primary.test"
    active = "envoy_cluster_outlier_detection_ejections_active"
    with socket.socket() as reserved, background.serving(fallback):
        reserved.bind(("127.0.0.1", 0))
        config = write_mesh(
            tmp_path,
            Host(
                name="primary.test",
                port=reserved.getsockname()[1],
                threshold=1,
                ejection="6s",
                fallback="fallback.test",
            ),
            Host(name="fallback.test", port=fallback.port),
        )
        with Proxy(setting, config, *ADMIN) as proxy, admin_of(proxy) as admin:
            assert admin.get("/ready").text == "LIVE\n"
            assert value(admin, active, envoy_cluster_name=cluster) == 0
            assert flags_of(admin, cluster) == "healthy"

            assert [ask(proxy, "http://primary.test").status for _ in range(2)] == [503, 200]

            assert value(admin, active, envoy_cluster_name=cluster) == 1
            assert flags_of(admin, cluster) == "/failed_outlier_check"
            requests = "istio_requests_total"
            flagged = {"destination_service": "primary.test", "response_code": "503", "response_flags": "UH"}
            answered = {"destination_service": "fallback.test", "response_code": "200", "response_flags": "-"}
            assert value(admin, requests, **flagged) == value(admin, requests, **answered) == 1
            assert value(admin, requests) == 2
            hosts = {"from_host": "primary.test", "to_host": "fallback.test"}
            assert value(admin, "llm_fallback_fallbacks_total", **hosts) == 1

            proxy.wait_for_line(r"returned primary\.test:80")
            assert value(admin, active, envoy_cluster_name=cluster) == 0
            assert flags_of(admin, cluster) == "healthy"
            assert value(admin, "envoy_cluster_outlier_detection_ejections_enforced_total") == 1


def test_a_port_that_is_taken_is_no_reason_to_stop(setting: Setting, tmp_path: Path) -> None:
    """One warning, and the proxy serves."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        config = write_mesh(tmp_path, Host(name="gone.invalid"))
        with Proxy(setting, config, "--set", f"llm_admin={address}") as proxy:
            proxy.wait_for_line(rf"llm_admin: no admin page at {address}: Address already in use")
            assert ask(proxy, "http://gone.invalid").status == 503


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_it_is_not_shown_through_the_proxy(name: str, setting: Setting, tmp_path: Path) -> None:
    """Whose clients may be on other machines; directly it is, which is the positive control."""
    config = write_mesh(tmp_path, Host(name="gone.invalid"))
    with Proxy(setting, config, *ADMIN) as proxy, admin_of(proxy) as admin, http_client(proxy) as client:
        host = {"Host": f"127.0.0.1:{admin.base_url.port}"}
        answer = client.get(f"http://{name}:{admin.base_url.port}/clusters", headers=host)
        assert (answer.status_code, answer.text) == (403, "the admin page is not shown through the proxy\n")
        assert "gone.invalid" in admin.get("/clusters").text


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux' /proc")
def test_nobody_listens_unless_asked_to(setting: Setting, tmp_path: Path) -> None:
    """One port of the proxy, and with the option a second one: the positive control."""
    config = write_mesh(tmp_path, Host(name="gone.invalid"))
    with Proxy(setting, config) as proxy:
        proxy.wait_for_line("managing ")
        assert ask(proxy, "http://gone.invalid").status == 503  # it is running
        assert listening(proxy.pid) == {proxy.port}
    with Proxy(setting, config, *ADMIN) as proxy, admin_of(proxy) as admin:
        assert listening(proxy.pid) == {proxy.port, admin.base_url.port}


def listening(pid: int) -> set[int]:
    """The TCP ports at which a process listens."""
    links = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has just been closed
            links.append(file.readlink())
    own = {inode[1] for link in links if (inode := re.fullmatch(r"socket:\[(\d+)\]", str(link)))}
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{name}").read_text("ascii").splitlines()[1:]
    ]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in own}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("0.0.0.0:9901", r"llm_admin: '0\.0\.0\.0:9901' can be reached from other machines; write 127"),
        ("9901", r"llm_admin: '9901' is not an address; write 127\.0\.0\.1:9901"),
    ],
)
def test_an_address_that_cannot_be(address: str, expected: str, setting: Setting, tmp_path: Path) -> None:
    """It ends the start with a sentence."""
    config = write_mesh(tmp_path, Host(name="provider.test"))
    assert_refused(setting, config, expected, "--set", f"llm_admin={address}")


def test_it_can_be_switched_while_the_proxy_runs(setting: Setting, tmp_path: Path) -> None:
    """On, elsewhere, refused, and off."""
    script = tmp_path / "switch.py"
    script.write_text(SWITCH, encoding="utf-8")
    config = write_mesh(tmp_path / "mesh", Host(name="gone.invalid"))
    with Proxy(setting, config, "-s", str(script)) as proxy, http_client(proxy) as client:

        def switch(to: str) -> httpx.Response:
            return client.get("http://switch.invalid/", params={"to": to})

        assert switch("127.0.0.1:0").status_code == 204
        with admin_of(proxy) as first:
            assert first.get("/ready").status_code == 200
            assert switch("127.0.0.2:0").status_code == 204
            with admin_of(proxy, 1) as second:
                assert second.get("/ready").status_code == 200
                refused = switch("10.0.0.1:80")
                assert (refused.status_code, "from other machines" in refused.text) == (400, True)
                assert second.get("/ready").status_code == 200
            with httpx.Client(base_url=first.base_url, trust_env=False) as anew:
                assert_nobody_there(anew)
        assert switch("").status_code == 204
        with admin_of(proxy, 1) as second:
            assert_nobody_there(second)


def assert_nobody_there(admin: httpx.Client) -> None:
    """A new connection is refused."""
    with pytest.raises(httpx.ConnectError):
        admin.get("/ready")


def test_no_page_shows_a_key(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """Neither the provider's nor the client's; hosts are shown, which is the positive control."""
    provider = StandIn(tls=authority.issue("keyed.test"))
    setting = replace(setting, environment={"OWN": KEY.value})
    headers = {**JSON, "Authorization": f"Bearer {BEARER.value}"}
    with background.serving(provider):
        config = write_mesh(
            tmp_path,
            Host(name="keyed.test", port=provider.port, key="${OWN}"),
            Host(name="gone.invalid", key="${OWN}", threshold=1),
        )
        with Proxy(setting, config, *ADMIN) as proxy, admin_of(proxy) as admin, http_client(proxy) as client:
            for host in ("keyed.test", "gone.invalid"):
                client.post(f"http://{host}/v1?api-key={QUERY_KEY.value}", content=QUESTION, headers=headers)
            pages = {path: admin.get(path, headers=headers) for path in PAGES}
            places = {path: _whole(page) for path, page in pages.items()} | {"log": proxy.log.encode()}
    assert KEY.is_bearer_of(provider.seen[0])
    assert leaks(places, (KEY, BEARER, QUERY_KEY)) == []
    shown = [path for path, content in places.items() if b"keyed.test" in content]
    assert shown == ["/stats", "/stats/prometheus", "/clusters", "/clusters?format=json", "log"]


def _whole(page: httpx.Response) -> bytes:
    headers: Mapping[str, str] = page.headers
    return str(dict(headers)).encode() + page.content
