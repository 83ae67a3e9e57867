"""What a provider repeats of its key: clients get it, and nothing that is kept has it, however it is kept."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.support.background import Background, wait_until
from tests.support.clients import JSON, connect, http_client, read_to_end, request_bytes
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Exchange, Provider, head
from tests.support.proxy import Proxy, Setting
from tests.support.saved import read_flows
from tests.support.secret import Secret, inflated, leaks

HOST = "repeats.test"
KEY = Secret("the provider's key", "sk-repeated-8f61a2c4")
COOKIE = Secret("the client's cookie", "session-repeated-19d7")
HEADER = "x-debug"
BODY = b"{}"
BUFFERING = """
def responseheaders(flow):
    flow.response.stream = {stream}
"""
SENDING = """
def request(flow):
    flow.request.host, flow.request.port = "repeats.test", 80
"""
OPTIONS = {
    "as-it-is": (),
    "store": ("--set", "store_streamed_bodies=true"),
    "stream-large": ("--set", "stream_large_bodies=1"),
    "limit": ("--set", "body_size_limit=10"),
}


async def repeat(exchange: Exchange) -> None:
    """Repeat the key in a header and in the body, in the shape that the request asks for."""
    key = exchange.request.header("authorization") or ""
    said = (HEADER, f"you sent {key}")
    body = f'{{"said": "{key}"}}'.encode()
    match exchange.request.header("x-shape"):
        case "nothing":
            await exchange.send(head(204, (said,)))
        case "empty":
            await exchange.send(head(200, (said, ("content-length", "0"))))
        case "names":
            _, _, bare = key.partition(" ")
            cookie = (exchange.request.header("cookie") or "").removeprefix("id=")
            both = (("x-who", bare), ("x-who", cookie))
            await exchange.send(head(200, (said, (f"x-{bare}", "1"), *both, ("content-length", "0"))))
        case "reset":
            await exchange.send(head(200, (said, ("content-length", "100"))))
            exchange.reset()
        case "late":
            await exchange.send(head(200, (said, ("content-length", "100"))))
            await exchange.hung_up()
        case _:
            length = ("content-length", str(len(body)))
            await exchange.send(
                head(200, (said, length)) + (body if exchange.request.method == "POST" else b"")
            )


@dataclass(frozen=True, slots=True)
class Kept:
    """What clients got of a proxy, and all that it has kept of that."""

    answers: dict[str, httpx.Response]
    places: dict[str, bytes]


@pytest.fixture(name="provider", scope="module")
def answering(background: Background) -> Iterator[Provider]:
    with background.serving(Provider(repeat)) as provider:
        yield provider


def play(provider: Provider, setting: Setting, folder: Path, *options: str) -> Kept:
    """Every shape through a proxy that keeps all it can."""
    config = write_mesh(
        folder / "mesh", Host(name=HOST, port=provider.port, tls=False, path=None, key="${OWN}")
    )
    files = {"flows": folder / "flows.mitm", "har": folder / "out.har"}
    saving = ("-w", str(files["flows"]), "--set", f"hardump={files['har']}", "--set", "flow_detail=4")
    setting = replace(setting, environment={"OWN": KEY.value})
    answers: dict[str, httpx.Response] = {}
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(setting, config, *saving, *options))
        client = stack.enter_context(http_client(proxy))
        for shape in ("body", "nothing", "empty", "names"):
            headers = {**JSON, "x-shape": shape, "Cookie": f"id={COOKIE.value}"}
            answers[shape] = client.post(f"http://{HOST}/", content=BODY, headers=headers)
        answers["head"] = client.head(f"http://{HOST}/")
        with suppress(httpx.RemoteProtocolError):
            client.post(f"http://{HOST}/", content=BODY, headers={**JSON, "x-shape": "reset"})
        with suppress(httpx.ReadTimeout):
            headers = {**JSON, "x-shape": "late"}
            client.post(f"http://{HOST}/", content=BODY, headers=headers, timeout=0.5)
        wait_until(lambda: len(proxy.requests()) == 7, "all requests are over")
    places = {name: file.read_bytes() for name, file in files.items()} | {"log": proxy.log.encode()}
    return Kept(answers, {name: kept + inflated(kept) for name, kept in places.items()})


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_that_keep_more(
    options: tuple[str, ...], provider: Provider, setting: Setting, tmp_path: Path
) -> None:
    """mitmproxy's own."""
    kept = play(provider, setting, tmp_path, *options)

    assert leaks(kept.places, (KEY, COOKIE)) == []
    assert all(KEY.value in answer.headers[HEADER] for answer in kept.answers.values() if answer.is_success)
    assert kept.answers["nothing"].status_code == 204
    assert kept.answers["names"].headers[f"x-{KEY.value}"] == "1"
    assert kept.answers["names"].headers.get_list("x-who") == [KEY.value, COOKIE.value]
    assert all(b"you sent Bearer [redacted]" in place for place in kept.places.values())


@pytest.mark.parametrize("stream", ["False", "lambda data: data"])
def test_other_addons_that_keep_more(
    stream: str, provider: Provider, setting: Setting, tmp_path: Path
) -> None:
    """If an answer is buffered for one, its client gets what the flow shows."""
    script = tmp_path / "buffering.py"
    script.write_text(BUFFERING.format(stream=stream), encoding="utf-8")

    kept = play(provider, setting, tmp_path, "-s", str(script))

    assert leaks(kept.places, (KEY, COOKIE)) == []
    assert kept.answers["body"].status_code == 200
    assert ("[redacted]" in kept.answers["body"].text) is (stream == "False")


@pytest.mark.parametrize("shape", ["nothing", "empty"])
def test_another_addon_that_adds_to_bodies(
    shape: str, provider: Provider, setting: Setting, tmp_path: Path
) -> None:
    """Where there is none, it would be the beginning of the next answer."""
    script = tmp_path / "adding.py"
    script.write_text(BUFFERING.format(stream="lambda data: data or b'more'"), encoding="utf-8")
    config = write_mesh(tmp_path / "mesh", Host(name=HOST, port=provider.port, tls=False, path=None))
    with Proxy(setting, config, "-s", str(script)) as proxy, connect(proxy.port) as sock:
        headers = (f"x-shape: {shape}", "Connection: close")
        sock.sendall(request_bytes(f"http://{HOST}/", HOST, BODY, *headers))
        answer = read_to_end(sock)

    assert answer.startswith(b"HTTP/1.1 20")
    assert answer.endswith(b"\r\n\r\n")


def test_a_request_that_another_addon_has_sent_there(
    provider: Provider, setting: Setting, tmp_path: Path
) -> None:
    """Its answer is shown, and without the key, whatever mitmproxy has kept of it."""
    script, saved = tmp_path / "sending.py", tmp_path / "flows.mitm"
    script.write_text(SENDING, encoding="utf-8")
    host = Host(name=HOST, port=provider.port, tls=False, path=None, key="${OWN}")
    options = ("-s", str(script), "-w", str(saved), *OPTIONS["store"])
    setting = replace(setting, environment={"OWN": KEY.value})
    with Proxy(setting, write_mesh(tmp_path / "mesh", host), *options) as proxy, http_client(proxy) as client:
        assert KEY.value in client.post("http://elsewhere.invalid/", content=BODY).text

    (flow,) = read_flows(saved)
    assert flow.response
    assert flow.response.text == '{"said": "Bearer [redacted]"}'
    assert leaks({"flows": saved.read_bytes()}, (KEY,)) == []
