"""A key goes to its own provider and nowhere else: no other provider, no file, no log, no error."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from mitmproxy import http

from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import Http2Connection, ask, connect, http_client
from tests.support.credentials import (
    BEARER,
    BODY,
    CLIENTS,
    HEADERS,
    IN_HEADER,
    MARKER,
    NOTE,
    PROXY_KEY,
    QUERY,
    QUERY_KEY,
    X_API_KEY,
)
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Exchange, Provider, Request, garbage, hang, respond
from tests.support.proxy import Proxy, Setting
from tests.support.saved import is_attempt, read_flows
from tests.support.secret import Secret, inflated, leaks

OWN_KEY = Secret("the keyed provider's key", "sk-keyed-a3f19c0b7d")
FALLBACK_KEY = Secret("the fallback's key", "sk-fallback-e81b62d4f0")
ALL = (OWN_KEY, FALLBACK_KEY, *CLIENTS, PROXY_KEY)
IN_ANSWER = "marker-in-an-answer"
PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """Whatever can be read afterwards: the files, and what providers and clients got."""

    places: dict[str, bytes]
    flows: list[http.HTTPFlow]
    keyed: Provider
    keyless: Provider
    down: Provider
    fallback: Provider
    poor: Provider
    answers: list[httpx.Response]


async def answer_with_marker(exchange: Exchange) -> None:
    """An answer that has the marker in it."""
    await respond(200, json.dumps({"marker": IN_ANSWER}).encode())(exchange)


@pytest.fixture(scope="module", name="seen")
def played(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Seen]:
    """Requests with every kind of credential, to every kind of provider, with everything saved and logged."""
    folder: Path = tmp_path_factory.mktemp("secrets")
    setting = replace(setting, environment={"OWN": OWN_KEY.value, "FALLBACK": FALLBACK_KEY.value})
    names = ("keyed.test", "keyless.test", "fallback.test", "poor-fallback.test")
    providers = [Provider(answer_with_marker, authority.issue(name)) for name in names]
    down = Provider(garbage, authority.issue("down.test", "poor.test"))
    keyed, keyless, fallback, poor = providers
    files = {"flows.mitm": folder / "flows.mitm", "out.har": folder / "out.har"}
    loud = ("--set", "termlog_verbosity=debug", "--set", "flow_detail=4")  # -v would set flow_detail to 2
    saving = ("-w", str(files["flows.mitm"]), "--set", f"hardump={files['out.har']}")
    with ExitStack() as stack:
        for provider in (*providers, down):
            stack.enter_context(background.serving(provider))
        config = write_mesh(
            folder,
            Host(name="keyed.test", port=keyed.port, key="${OWN}"),
            Host(name="keyless.test", port=keyless.port),
            Host(name="down.test", port=down.port, threshold=1, fallback="fallback.test"),
            Host(name="fallback.test", port=fallback.port, key="${FALLBACK}", stream=True),
            Host(name="poor.test", port=down.port, threshold=1, fallback="poor-fallback.test"),
            Host(name="poor-fallback.test", port=poor.port),
            Host(name="gone.invalid", key="${OWN}"),
        )
        with Proxy(setting, config, *loud, *saving) as proxy:
            answers = ask_everybody(proxy)
        flows = read_flows(files["flows.mitm"])
        places = {name: file.read_bytes() for name, file in files.items()}
        places["the log"] = proxy.log.encode()
        yield Seen(places, flows, keyed, keyless, down, fallback, poor, answers)


def ask_everybody(proxy: Proxy) -> list[httpx.Response]:
    """Plain and through CONNECT, HTTP/1 and HTTP/2; the last hosts fall back after a failure."""
    answers = []
    with http_client(proxy) as plain, http_client(proxy, http2=True) as secure:
        for host in ("keyed.test", "keyless.test", "gone.invalid"):
            for client, scheme in ((plain, "http"), (secure, "https")):
                url = f"{scheme}://{host}{PATH}{QUERY}"
                answers.append(client.post(url, content=BODY, headers=HEADERS))
        answers += [
            plain.post(f"http://{host}{PATH}{QUERY}", content=BODY, headers=HEADERS)
            for host in ("down.test", "down.test", "poor.test", "poor.test")
        ]
    return answers


def carried(request: Request) -> list[str]:
    """Which secrets a provider got."""
    return [secret.name for secret in ALL if secret.occurs_in(request)]


def test_the_requests_did_what_they_should(seen: Seen) -> None:
    """Two answers each from two providers, two connect failures, and twice a failure and a fallback."""
    statuses = [answer.status_code for answer in seen.answers]
    assert statuses == [200, 200, 200, 200, 503, 503, 502, 200, 502, 200]


def test_a_provider_with_a_key(seen: Seen) -> None:
    """Gets its key in place of the client's Authorization; the rest is between it and its client."""
    assert len(seen.keyed.requests) == 2
    for request in seen.keyed.requests:
        assert OWN_KEY.is_bearer_of(request)
        assert carried(request) == [s.name for s in (OWN_KEY, *CLIENTS) if s is not BEARER]


def test_a_provider_without_a_key(seen: Seen) -> None:
    """Gets the client's own credentials, all of them, as the client sent them."""
    assert len(seen.keyless.requests) == 2
    for request in seen.keyless.requests:
        assert BEARER.is_bearer_of(request)
        assert carried(request) == [secret.name for secret in CLIENTS]
        assert "api-version=1" in request.path
        assert request.header("x-note") == NOTE


def test_the_fallback(seen: Seen) -> None:
    """Gets its own key and nothing of the client's credentials; the rest of query and headers stays."""
    (request,) = seen.fallback.requests
    assert FALLBACK_KEY.is_bearer_of(request)
    assert carried(request) == [FALLBACK_KEY.name]
    assert request.path.endswith("?api-version=1&next=%2Fpage")
    assert request.header("x-marker") == IN_HEADER


def test_a_fallback_without_a_key(seen: Seen) -> None:
    """Gets no credential at all: the client's was not meant for it."""
    (request,) = seen.poor.requests
    assert carried(request) == []
    assert request.header("authorization") is None


def test_no_key_of_another(seen: Seen) -> None:
    """The provider that failed got the client's credentials, and no provider's key."""
    assert [carried(request) for request in seen.down.requests] == [[secret.name for secret in CLIENTS]] * 2


def test_what_the_client_gets(seen: Seen) -> None:
    """Neither answers nor error texts hold a key."""
    places = {
        f"answer {number}": answer.content + str(answer.headers.raw).encode()
        for number, answer in enumerate(seen.answers)
    }
    assert leaks(places, ALL) == []


@pytest.mark.parametrize("place", ["flows.mitm", "out.har", "the log"])
@pytest.mark.parametrize("marker", [MARKER, IN_HEADER, IN_ANSWER, "Bearer [redacted]"])
def test_a_marker_is_found(seen: Seen, place: str, marker: str) -> None:
    """The positive control: what is no secret is there, from headers and bodies, requests and answers."""
    assert marker in seen.places[place].decode(errors="replace")


def test_nothing_is_found_of_a_secret(seen: Seen) -> None:
    """Not in flow file, HAR or the log at its highest level, nor compressed inside of them."""
    places = dict(seen.places)
    places |= {f"{name}, inflated": inflated(content) for name, content in seen.places.items()}
    places["flows, parsed"] = repr([flow.get_state() for flow in seen.flows]).encode()
    places["bodies"] = b"".join(
        (flow.request.get_content(strict=False) or b"")
        + ((flow.response and flow.response.get_content(strict=False)) or b"")
        for flow in seen.flows
    )
    assert leaks(places, ALL) == []


def test_the_scan_would_find_a_secret(seen: Seen) -> None:
    """The positive control of the scan itself, compressed or not."""
    sample = b"..." + gzip.compress(b"key: " + OWN_KEY.value.encode()) + b"..."
    assert leaks({"plain": OWN_KEY.value.encode()}, ALL) == [f"{OWN_KEY.name} in plain"]
    assert leaks({"packed": inflated(sample)}, ALL) == [f"{OWN_KEY.name} in packed"]
    assert [is_attempt(flow) for flow in seen.flows].count(False) == 10
    assert any(map(is_attempt, seen.flows))


def test_requests_that_do_not_end(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """Flows that are saved when their client leaves, or when mitmdump ends, hold no key either."""
    setting = replace(setting, environment={"OWN": OWN_KEY.value})
    provider = Provider(hang, authority.issue("keyed.test"))
    saved = tmp_path / "flows.mitm"
    request = f"POST http://keyed.test{PATH}{QUERY} HTTP/1.1\r\nHost: keyed.test\r\n"
    request += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    request += f"Content-Length: {len(BODY)}\r\n\r\n{BODY}"
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name="keyed.test", port=provider.port, key="${OWN}"))
        with Proxy(setting, config, "-v", "-w", str(saved)) as proxy, connect(proxy.port) as stays:
            with connect(proxy.port) as stops_half_way:
                stops_half_way.sendall(request.encode()[:-1])
            proxy.wait_for_line("client disconnect")
            with connect(proxy.port) as leaves:
                leaves.sendall(request.encode())
                wait_until(lambda: len(provider.requests) == 1, "the provider has the first request")
            proxy.wait_for_line(r"\| no answer DC in ")
            stays.sendall(request.encode())
            wait_until(lambda: len(provider.requests) == 2, "the provider has the second request")
            proxy.stop()
            places = {"the log": proxy.log.encode(), "flows.mitm": saved.read_bytes()}
        assert len(read_flows(saved)) == 3
    assert IN_HEADER.encode() in places["flows.mitm"]
    assert leaks(places, ALL) == []


def test_where_nobody_expects_one(background: Background, setting: Setting, tmp_path: Path) -> None:
    """A trailer of HTTP/2, and the password that mitmproxy asks its own clients for, are not kept either."""
    saved = tmp_path / "flows.mitm"
    loud = ("--set", "flow_detail=4", "-w", str(saved))
    with background.serving(Provider(respond())) as provider:
        config = write_mesh(tmp_path, Host(name="keyed.test", port=provider.port, tls=False))
        with Proxy(setting, config, *loud) as proxy, Http2Connection(proxy, "keyed.test") as client:
            stream = client.post_with_trailer(BODY.encode(), "x-api-key", X_API_KEY.value)
            assert client.status(stream) == 200
        places = {"the log": proxy.log.encode(), "with a trailer": saved.read_bytes()}
        with Proxy(setting, config, *loud, "--set", f"proxyauth=me:{PROXY_KEY.value}") as proxy:
            basic = base64.b64encode(f"me:{PROXY_KEY.value}".encode()).decode()
            with http_client(proxy) as plain:
                headers = {"Proxy-Authorization": f"Basic {basic}"}
                assert plain.post("http://keyed.test/", content=BODY, headers=headers).status_code == 200
        places |= {"the second log": proxy.log.encode(), "with a password": saved.read_bytes()}
    assert all(MARKER.encode() in place for place in places.values())
    assert leaks(places, (X_API_KEY, PROXY_KEY)) == []
    assert basic.encode() not in b"".join(places.values())


def test_a_key_in_a_mistaken_file(setting: Setting, tmp_path: Path) -> None:
    """A configuration with errors is refused without printing what might be a key."""
    config = write_mesh(
        tmp_path, Host(name="one.test", key=OWN_KEY.value), Host(name="two.test", key="${KEY}")
    )
    text = config.read_text().replace("apiKey", "apiKye", 1)
    config.write_text(text)
    setting = replace(setting, environment={"KEY": f"{FALLBACK_KEY.value}\n"})
    ended = setting.run_to_end(config, "-v")
    assert ended.returncode == 1
    assert re.search(r"mesh\.yaml:\d+: LLMProvider/one: \S*apiKye: ", ended.stdout)
    assert re.search(r"mesh\.yaml:\d+: LLMProvider/two: \S*apiKey: ", ended.stdout)
    assert leaks({"the output": ended.stdout.encode()}, ALL) == []


def test_ask_is_not_told(setting: Setting, tmp_path: Path) -> None:
    """A host with a key and nobody behind it: the error text does not hold the key."""
    setting = replace(setting, environment={"OWN": OWN_KEY.value})
    with Proxy(setting, write_mesh(tmp_path, Host(name="gone.invalid", key="${OWN}"))) as proxy:
        answer = ask(proxy, "http://gone.invalid")
    assert answer.status == 503
    assert leaks({"the answer": answer.body, "the log": proxy.log.encode()}, ALL) == []


@pytest.mark.parametrize(
    "request_head",
    [
        pytest.param(
            f"GET http://a.test/?key={QUERY_KEY.value} HTTP/1.1\r\nAuthorization: {BEARER.value}\r\n",
            id="cut",
        ),
        pytest.param(f"GET http://a.test/ HTTP/1.1\r\nAuthorization {BEARER.value}\r\n\r\n", id="no-colon"),
        pytest.param(f"GET http://me:{BEARER.value}@a.test/ HTTP/1.1\r\n\r\n", id="user-in-the-url"),
    ],
)
def test_a_request_that_cannot_be_read(setting: Setting, tmp_path: Path, request_head: str) -> None:
    """mitmproxy logs that there was one, and would quote it."""
    with Proxy(setting, write_mesh(tmp_path, Host(name="a.test"))) as proxy:
        with connect(proxy.port) as client:
            client.sendall(request_head.encode())
        proxy.wait_for_line("client disconnect")
        assert re.search(
            r"(Client closed connection|Invalid header|Bad HTTP request).*: \[redacted\]", proxy.log
        )
    assert leaks({"the log": proxy.log.encode()}, ALL) == []
