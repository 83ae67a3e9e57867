"""What is done to a request's body: `model` is set, `stream` where it is missing, and nothing else."""

import gzip
import json
import zlib
from collections.abc import Iterator

import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, http_client
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, Request, respond
from tests.support.proxy import Proxy, Setting

MODEL, STREAM = '"model": "a-model"', '"stream": false'
ODD = (
    '\t"n" :1.50,"big":123456789012345678901234567890 ,\r\n "e":1E+2'
    ',"u":"\\u8bf7请\\/","d":1,"d":2,"o":{"model":"x"}'
)


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Proxy, Provider]]:
    """A provider with a model and a default for `stream`."""
    provider = Provider(respond(), authority.issue("primary.test"))
    with background.serving(provider):
        config = write_mesh(
            tmp_path_factory.mktemp("bodies"), Host(name="primary.test", port=provider.port, stream=False)
        )
        with Proxy(setting, config) as proxy:
            yield proxy, provider


def send(
    stage: tuple[Proxy, Provider], body: bytes | Iterator[bytes], headers: dict[str, str] | None = None
) -> Request:
    """What the provider gets when a client sends this body."""
    proxy, provider = stage
    with http_client(proxy) as client:
        answer = client.post("http://primary.test/v1/chat/completions", content=body, headers=headers or JSON)
    assert answer.status_code == 200
    request = provider.requests[-1]
    assert request.header("content-length") == str(len(request.body))
    assert request.header("transfer-encoding") is None
    return request


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            f'{{{ODD}, "model" :"gpt" , "stream":true}}',
            f'{{{ODD}, "model" :"a-model" , "stream":true}}',
            id="both-there",
        ),
        pytest.param(
            ' {"stream": null,"model":null}\n', ' {"stream": null,"model":"a-model"}\n', id="null-is-said"
        ),
        pytest.param(
            '{"model":"a","stream":1,"model":"b"}',
            '{"model":"a-model","stream":1,"model":"a-model"}',
            id="twice",
        ),
        pytest.param(
            '{"m\\u006fdel":"a","stream":true}', '{"m\\u006fdel":"a-model","stream":true}', id="escaped-name"
        ),
    ],
)
def test_every_other_byte_stays(stage: tuple[Proxy, Provider], before: str, after: str) -> None:
    """Spacing, numbers, escapes, order and duplicate keys are the client's."""
    assert send(stage, before.encode()).body.decode() == after


@pytest.mark.parametrize(
    ("before", "added"),
    [
        pytest.param(f"{{{ODD}}}", {"model": "a-model", "stream": False}, id="neither"),
        pytest.param(f'{{{ODD},"stream":true}}', {"model": "a-model"}, id="no-model"),
        pytest.param(f'{{{ODD},"model":"a-model"}}', {"stream": False}, id="no-stream"),
        pytest.param("{}", {"model": "a-model", "stream": False}, id="empty-object"),
    ],
)
def test_what_is_missing_is_added(
    stage: tuple[Proxy, Provider], before: str, added: dict[str, object]
) -> None:
    """The client's own members stay together, byte for byte, in a JSON object with the new ones."""
    body = send(stage, before.encode()).body.decode()
    assert before[1:-1] in body
    assert json.loads(body) == {**json.loads(before), **added}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"who are you?", id="text"),
        pytest.param(b'{"messages": [', id="half"),
        pytest.param(b'[{"model": "x"}]', id="array"),
        pytest.param(b'"model"', id="string"),
        pytest.param(b'{"model": "\xff"}', id="not-utf-8"),
        pytest.param(b"\x00\x01\xff" * 1000, id="binary"),
        pytest.param(b"\x1f\x8b\x08 not really", id="looks-like-gzip"),
        pytest.param(b'{"a":' * 20_000 + b"1" + b"}" * 20_000, id="deep"),
    ],
)
def test_what_is_no_json_object_stays(stage: tuple[Proxy, Provider], body: bytes) -> None:
    """It is passed on untouched, its type too."""
    request = send(stage, body, {"Content-Type": "text/x-whatever"})
    assert request.body == body
    assert request.header("content-type") == "text/x-whatever"


def test_twenty_megabytes(stage: tuple[Proxy, Provider]) -> None:
    """A large body is whole, with its model set."""
    text = json.dumps({"messages": [{"role": "user", "content": "请介绍你自己 \\n" * 1000}] * 1000})
    before = f'{{"model":"x","stream":true,{text[1:]}'.encode()
    assert len(before) > 20_000_000
    received = send(stage, before).body
    assert received == before.replace(b'"model":"x"', b'"model":"a-model"')


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)]
)
def test_a_compressed_body(stage: tuple[Proxy, Provider], encoding: str, compress: type[bytes]) -> None:
    """Its model is set too; it is sent on uncompressed, and says so."""
    request = send(stage, compress(b'{"model":"x","stream":true}'), {**JSON, "Content-Encoding": encoding})
    assert request.header("content-encoding") is None
    assert request.body == b'{"model":"a-model","stream":true}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", b"not gzip", id="lie"),
        pytest.param("gzip", gzip.compress(b'{"model":"x"}')[:-4], id="cut"),
        pytest.param("gzip", gzip.compress(b"not JSON"), id="not-json"),
        pytest.param("br", b"\x0b\x05\x80", id="unknown"),
        pytest.param("gzip", gzip.compress(b" " * 100_000_000), id="bomb"),
    ],
)
def test_a_compressed_body_that_cannot_be_set(
    stage: tuple[Proxy, Provider], encoding: str, body: bytes
) -> None:
    """It is passed on as it came, still compressed."""
    request = send(stage, body, {**JSON, "Content-Encoding": encoding})
    assert request.header("content-encoding") == encoding
    assert request.body == body


def test_an_upload_in_chunks(stage: tuple[Proxy, Provider]) -> None:
    """It is put together, and sent with a length."""
    pieces = [b'{"mod', b'el":', b'"x","stream"', b":true}"]
    assert send(stage, iter(pieces)).body == b'{"model":"a-model","stream":true}'


def test_headers_are_the_clients(stage: tuple[Proxy, Provider]) -> None:
    """Those of one connection are dropped, the rest pass; added is which attempt it is, as in the mesh.

    That a client takes trailers is passed on, again as in the mesh.
    """
    own = {
        "X-Request-Id": "7",
        "User-Agent": "an app/1.0",
        "Accept": "text/event-stream",
        "Accept-Encoding": "br",
        "Connection": "X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
        "Proxy-Connection": "keep-alive",
        **JSON,
    }
    request = send(stage, b"{}", own)
    names = {name.lower() for name, _ in request.headers}
    assert names == {
        "host",
        "x-request-id",
        "user-agent",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "te",
        "x-envoy-attempt-count",
    }
    assert request.header("host") == "primary.test"
    assert [request.header(name) for name in ("x-request-id", "user-agent", "accept")] == [
        "7",
        "an app/1.0",
        "text/event-stream",
    ]
