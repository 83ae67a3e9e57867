"""What other addons and mitmproxy's own options do to a flow is done, and no credential goes astray by it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import (
    QUESTION,
    Answer,
    answer_of,
    client_context,
    connect,
    http_client,
    parse,
    read_response,
    request_bytes,
)
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, Request, respond
from tests.support.proxy import Proxy, Setting

FIRST, SECOND, UNMANAGED = "first.test", "second.test", "127.0.0.1"
SECRETS = {"Authorization": "Bearer sk-client", "X-Api-Key": "sk-client-2"}
QUERY = "/x?a=1&api-key=sk-client-3"
EDITOR = '''
"""Changes requests as the test's header says, as an addon of a user might."""

from mitmproxy import ctx


def request(flow):
    request = flow.request
    command, _, argument = request.headers.pop("x-edit", "").partition(" ")
    match command:
        case "drop":
            request.headers.pop(argument)
        case "set":
            name, _, value = argument.partition("=")
            request.headers[name] = value
        case "add-query":
            request.query["extra"] = argument
        case "drop-query":
            del request.query[argument]
        case "to":
            request.host, _, port = argument.partition(":")
            if port:
                request.port = int(port)
        case "config":
            ctx.options.update(llm_config=argument)
'''


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy with the editing addon, two managed providers without keys, and an unmanaged server."""

    proxy: Proxy
    first: Provider
    second: Provider
    stranger: Provider

    def edited(self, command: str, **headers: str) -> Answer:
        """The answer to a request to the first provider, with credentials, that the addon changes."""
        with http_client(self.proxy) as client:
            sent = {"X-Edit": command, **SECRETS, **headers}
            return answer_of(client.post(f"http://{FIRST}{QUERY}", content=QUESTION, headers=sent))


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    first = Provider(respond(body=b"first"), authority.issue(FIRST))
    second = Provider(respond(body=b"second"), authority.issue(SECOND))
    stranger = Provider(respond(body=b"stranger"))
    folder = tmp_path_factory.mktemp("addons")
    with ExitStack() as stack:
        for provider in (first, second, stranger):
            stack.enter_context(background.serving(provider))
        config = write_mesh(
            folder,
            Host(name=FIRST, port=first.port, path=None, model=None),
            Host(name=SECOND, port=second.port, path=None, model=None),
        )
        proxy = stack.enter_context(Proxy(setting, config, "-s", editor(folder)))
        yield Stage(proxy, first, second, stranger)


def editor(folder: Path) -> str:
    """The editing addon's script."""
    script = folder / "editor.py"
    script.write_text(EDITOR, encoding="utf-8")
    return str(script)


def fields(request: Request, *names: str) -> list[str | None]:
    """The values of its headers."""
    return [request.header(name) for name in names]


def test_an_untouched_request_keeps_its_credentials(stage: Stage) -> None:
    """What the placeholders stand for comes back, in the header and in the query."""
    assert stage.edited("").body == b"first"
    seen = stage.first.requests[-1]
    assert fields(seen, *SECRETS) == list(SECRETS.values())
    assert seen.path == QUERY


@pytest.mark.parametrize("name", SECRETS)
def test_a_credential_that_is_taken_away(stage: Stage, name: str) -> None:
    """It stays away; the other one is sent."""
    assert stage.edited(f"drop {name}").status == 200
    seen = stage.first.requests[-1]
    assert fields(seen, *SECRETS) == [None if other == name else SECRETS[other] for other in SECRETS]


def test_a_credential_that_is_replaced(stage: Stage) -> None:
    """The new one is sent, and the old one is not."""
    assert stage.edited("set X-Api-Key=another").status == 200
    seen = stage.first.requests[-1]
    assert fields(seen, *SECRETS) == [SECRETS["Authorization"], "another"]
    assert b"sk-client-2" not in seen.raw


def test_a_query_that_is_edited(stage: Stage) -> None:
    """mitmproxy writes the whole query anew; the placeholder in it is still known as one."""
    assert stage.edited("add-query 1").status == 200
    assert stage.first.requests[-1].path == f"{QUERY}&extra=1"


def test_a_query_credential_that_is_taken_away(stage: Stage) -> None:
    """It stays away."""
    assert stage.edited("drop-query api-key").status == 200
    assert stage.first.requests[-1].path == "/x?a=1"


@pytest.mark.parametrize("place", ["managed", "unmanaged"])
def test_another_host(stage: Stage, place: str) -> None:
    """A flow that is sent elsewhere takes neither the client's credentials along nor their placeholders."""
    provider, host = {
        "managed": (stage.second, SECOND),
        "unmanaged": (stage.stranger, f"{UNMANAGED}:{stage.stranger.port}"),
    }[place]
    answer = stage.edited(f"to {host}")
    assert answer.body in (b"second", b"stranger")
    seen = provider.requests[-1]
    assert fields(seen, *SECRETS) == [None, None]
    assert seen.path == "/x?a=1"
    assert b"sk-client" not in seen.raw
    assert b"redacted" not in seen.raw
    assert seen.body == QUESTION.encode()


def test_a_credential_of_the_addons_own_goes_along(stage: Stage) -> None:
    """What an addon sets is its own choice."""
    with http_client(stage.proxy) as client:
        headers = {"X-Edit": "set X-Api-Key=of-the-addon"}
        assert client.post(f"http://{FIRST}/x", content=QUESTION, headers=headers).status_code == 200
    assert fields(stage.first.requests[-1], *SECRETS) == [None, "of-the-addon"]


def test_modify_headers_and_sticky_auth(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """mitmproxy's own addons: a header that is removed, and one that is remembered, though only redacted."""
    provider = Provider(respond(), authority.issue(FIRST))
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name=FIRST, port=provider.port, path=None))
        options = ("--set", "stickyauth=.*", "--modify-headers", "/~q/x-api-key/")
        with Proxy(setting, config, *options) as proxy, http_client(proxy) as client:
            for headers in (SECRETS, {}):
                assert client.post(f"http://{FIRST}/", content=QUESTION, headers=headers).status_code == 200

    first, second = provider.requests
    assert fields(first, *SECRETS) == [SECRETS["Authorization"], None]
    assert fields(second, *SECRETS) == [None, None]
    assert b"redacted" not in second.raw


def test_an_answer_beyond_body_size_limit(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """mitmproxy's own 502, and nothing crashes; smaller answers pass."""
    provider = Provider(respond(200, b"x" * 1000), authority.issue(FIRST))
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name=FIRST, port=provider.port, path=None))
        with Proxy(setting, config, "--set", "body_size_limit=500") as proxy, http_client(proxy) as client:
            url = f"http://{FIRST}/"
            assert client.post(url, content=QUESTION).status_code == 502
            provider.behaviour = respond(200, b"small")
            assert client.post(url, content=QUESTION).content == b"small"
            assert client.post(url, content=b"x" * 1000).status_code == 413


def test_a_host_that_is_managed_no_more(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """What comes over a TLS connection that began while it was still leaves over TLS, or not at all."""
    provider = Provider(respond(body=b"provider"), authority.issue("localhost"))
    stranger = Provider(respond(body=b"stranger"))
    with background.serving(provider), background.serving(stranger):
        config = write_mesh(tmp_path / "before", Host(name="localhost", port=provider.port, path=None))
        after = write_mesh(tmp_path / "after", Host(name=SECOND, port=provider.port, path=None))
        place = f"localhost:{stranger.port}"
        with Proxy(setting, config, "-s", editor(tmp_path)) as proxy, connect(proxy.port) as sock:
            sock.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
            top = b""
            while not top.endswith(b"\r\n\r\n"):
                top += sock.recv(1)
            assert parse(top).status == 200
            with client_context(proxy).wrap_socket(sock, server_hostname="localhost") as secured:
                secured.sendall(request_bytes("/", place, b"{}", "Authorization: Bearer sk-client"))
                assert read_response(secured).body == b"provider"
                secured.sendall(request_bytes("/", place, b"{}", f"X-Edit: config {after}"))
                read_response(secured)
                proxy.wait_for_line(rf"managing {SECOND}")
                secured.sendall(request_bytes("/", place, b"{}", "Authorization: Bearer sk-client"))
                assert read_response(secured).status == 502
        assert not stranger.requests  # it speaks no TLS
