"""The answers that a VirtualService's rule gives itself: redirects, direct responses, and what CORS asks."""

from collections.abc import Iterator

import pytest

from tests.support.background import Background
from tests.support.proxy import Setting
from tests.support.yaml_mesh import Mesh, named, running, service_entry, virtual_service

REDIRECTS = {
    "redirect-path": ("uri: /there", 301, "http://redirect-path.test/there?a=1"),
    "redirect-query": ("uri: /there?b=2", 301, "http://redirect-query.test/there?b=2"),
    "redirect-authority": (
        "authority: other.example\n    redirectCode: 308",
        308,
        "http://other.example/here?a=1",
    ),
    "redirect-scheme": (
        "scheme: https\n    redirectCode: 302",
        302,
        "https://redirect-scheme.test/here?a=1",
    ),
    "redirect-port": ("port: 8443\n    redirectCode: 307", 307, "http://redirect-port.test:8443/here?a=1"),
    "redirect-default-port": (
        "scheme: https\n    derivePort: FROM_PROTOCOL_DEFAULT\n    redirectCode: 303",
        303,
        "https://redirect-default-port.test/here?a=1",
    ),
    "redirect-own-port": (
        "authority: other.example\n    derivePort: FROM_REQUEST_PORT",
        301,
        "http://other.example:8080/here?a=1",
    ),
}
"""What is written, the status and the location, for a request to `/here?a=1`."""
OWN_ANSWERS = r"""
- match:
  - uri:
      exact: /text
  directResponse:
    status: 418
    body:
      string: I am a teapot
  headers:
    response:
      set:
        x-rule: teapot
- match:
  - uri:
      exact: /bytes
  directResponse:
    status: 200
    body:
      bytes: AP8B
- directResponse:
    status: 503
"""
CORS = r"""
- match:
  - uri:
      prefix: /strict
  corsPolicy:
    allowOrigins:
    - exact: https://app.example
    unmatchedPreflights: IGNORE
  route:
  - destination: {host: red.test}
- corsPolicy:
    allowOrigins:
    - exact: https://app.example
    - regex: https://[a-z]+\.apps\.example
    allowMethods: [GET, POST]
    allowHeaders: [x-user, content-type]
    exposeHeaders: [x-from]
    maxAge: 24h
    allowCredentials: true
  route:
  - destination: {host: red.test}
"""


@pytest.fixture(scope="module", name="mesh")
def run(background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    text = "".join(
        [
            *(
                virtual_service(name, f"- redirect:\n    {redirect}\n")
                for name, (redirect, _, _) in REDIRECTS.items()
            ),
            virtual_service("own-answers", OWN_ANSWERS),
            virtual_service("cors", CORS),
            service_entry("red"),
        ]
    )
    with running(background, setting, tmp_path_factory.mktemp("answers"), text, named("red")) as mesh:
        yield mesh


@pytest.mark.parametrize("name", REDIRECTS)
def test_redirect(mesh: Mesh, name: str) -> None:
    """Status and location; what is not written stays as it was."""
    _, status, location = REDIRECTS[name]
    port = ":8080" if name == "redirect-own-port" else ""
    answer = mesh.ask(f"{name}.test{port}/here?a=1")
    assert (answer.status, answer.headers["location"], answer.body) == (status, location, b"")


def test_direct_response(mesh: Mesh) -> None:
    """Text, bytes or nothing, and the rule's header operations on it."""
    text, raw, empty = (mesh.ask(f"own-answers.test/{path}") for path in ("text", "bytes", "else"))
    assert (text.status, text.body, text.headers["x-rule"]) == (418, b"I am a teapot", "teapot")
    assert (raw.status, raw.body) == (200, b"\x00\xff\x01")
    assert (empty.status, empty.body) == (503, b"")


def preflight(origin: str) -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": "POST"}


@pytest.mark.parametrize("origin", ["https://app.example", "https://chat.apps.example"])
def test_cors_preflight(mesh: Mesh, origin: str) -> None:
    """Answered here, with all that the policy grants; no provider sees it."""
    before = len(mesh.providers["red"].requests)
    answer = mesh.ask("cors.test", method="OPTIONS", headers=preflight(origin))
    assert (answer.status, answer.body) == (200, b"")
    granted = {n: v for n, v in answer.headers.items() if n.startswith("access-control-")}
    assert granted == {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "x-user,content-type",
        "access-control-expose-headers": "x-from",
        "access-control-max-age": "86400",
    }
    assert len(mesh.providers["red"].requests) == before


def test_cors_request(mesh: Mesh) -> None:
    """It is sent on, and the answer says that the page may read it."""
    answer = mesh.ask("cors.test", headers={"origin": "https://app.example"})
    assert (answer.status, answer.body) == (200, b"red")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-expose-headers"] == "x-from"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "access-control-max-age" not in answer.headers


def test_cors_of_another_origin(mesh: Mesh) -> None:
    """A preflight is sent on, or with IGNORE answered without a grant; answers grant nothing."""
    other = "https://evil.example"
    forwarded = mesh.ask("cors.test", method="OPTIONS", headers=preflight(other))
    ignored = mesh.ask("cors.test/strict", method="OPTIONS", headers=preflight(other))
    plain = mesh.ask("cors.test", headers={"origin": other})
    assert [a.body for a in (forwarded, ignored, plain)] == [b"red", b"", b"red"]
    for answer in (forwarded, ignored, plain):
        assert "access-control-allow-origin" not in answer.headers
