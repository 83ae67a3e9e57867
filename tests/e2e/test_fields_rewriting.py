"""What a VirtualService's rule changes in requests and answers, and the answers that it gives itself."""

from collections.abc import Iterator

import pytest

from tests.support.background import Background, wait_until
from tests.support.provider import Provider, Request, respond
from tests.support.proxy import Setting
from tests.support.yaml_mesh import Mesh, named, running, service_entry, virtual_service

REWRITES = {
    "rewrite-prefix": r"""
- match:
  - uri:
      prefix: /old/
  rewrite:
    uri: /new/
  route:
  - destination: {host: red.test}
""",
    "rewrite-exact": r"""
- match:
  - uri:
      exact: /old
  rewrite:
    uri: /completely/new
  route:
  - destination: {host: red.test}
""",
    "rewrite-regex": r"""
- rewrite:
    uriRegexRewrite:
      match: ^/users/(\w+)/(\w+)$
      rewrite: /\2/of/\1
  route:
  - destination: {host: red.test}
""",
    "rewrite-authority": r"""
- rewrite:
    authority: other.example
  route:
  - destination: {host: red.test}
""",
    "rewrite-both": r"""
- rewrite:
    uri: /v2/
    authority: other.example:8080
  route:
  - destination: {host: red.test}
""",
}
HEADERS = r"""
- headers:
    request:
      set:
        x-rule: from the rule
        x-client: the rule's
      add:
        x-many: rule
      remove:
      - x-secret
    response:
      set:
        x-rule: seen
        x-provider: the rule's
      add:
        x-many: rule
      remove:
      - x-internal
  route:
  - destination: {host: verbose.test}
    headers:
      request:
        set:
          x-destination: from the destination
        add:
          x-many: destination
        remove:
        - x-second-secret
      response:
        set:
          x-destination: seen
        add:
          x-many: destination
        remove:
        - x-second-internal
"""
HEADER_AUTHORITY = r"""
- headers:
    request:
      set:
        host: header.example
  route:
  - destination: {host: red.test}
"""
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
MIRRORS = {
    "mirror": "mirror: {host: shadow.test}",
    "mirror-none": "mirror: {host: shadow.test}\n  mirrorPercentage: {value: 0}",
    "mirrors": """mirrors:
  - destination: {host: shadow.test}
    percentage: {value: 100}
  - destination: {host: second-shadow.test}
  - destination: {host: red.test}
    percentage: {value: 0}""",
}
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


def with_a_route(action: str) -> str:
    return f"- {action}\n  route:\n  - destination: {{host: red.test}}\n"


@pytest.fixture(scope="module", name="mesh")
def run(background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    verbose = (("x-internal", "1"), ("x-second-internal", "2"), ("x-many", "provider"), ("x-provider", "its"))
    providers = named("red", "shadow", "second-shadow") | {"verbose": Provider(respond(headers=verbose))}
    text = "".join(
        [
            *(virtual_service(name, rules) for name, rules in REWRITES.items()),
            *(
                virtual_service(name, f"- redirect:\n    {redirect}\n")
                for name, (redirect, _, _) in REDIRECTS.items()
            ),
            *(virtual_service(name, with_a_route(mirror)) for name, mirror in MIRRORS.items()),
            virtual_service("headers", HEADERS),
            virtual_service("header-authority", HEADER_AUTHORITY),
            virtual_service("own-answers", OWN_ANSWERS),
            virtual_service("cors", CORS),
            *(service_entry(name) for name in ("red", "verbose", "shadow", "second-shadow")),
        ]
    )
    with running(background, setting, tmp_path_factory.mktemp("rewriting"), text, providers) as mesh:
        yield mesh


def values(request: Request, name: str) -> list[str]:
    return [value for known, value in request.headers if known.lower() == name]


@pytest.mark.parametrize(
    ("name", "path", "sent", "host"),
    [
        ("rewrite-prefix", "/old/a/b?c=d", "/new/a/b?c=d", "rewrite-prefix.test"),
        ("rewrite-exact", "/old?c=d", "/completely/new?c=d", "rewrite-exact.test"),
        ("rewrite-regex", "/users/joe/keys?c", "/keys/of/joe?c", "rewrite-regex.test"),
        ("rewrite-regex", "/users/joe", "/users/joe", "rewrite-regex.test"),
        ("rewrite-authority", "/a?b", "/a?b", "other.example"),
        ("rewrite-both", "/a?b", "/v2/a?b", "other.example:8080"),
    ],
)
def test_rewrite(mesh: Mesh, name: str, path: str, sent: str, host: str) -> None:
    """Path and host change; the query stays, and the provider is told what they were (as Envoy does)."""
    assert mesh.ask(f"{name}.test{path}").body == b"red"
    request = mesh.providers["red"].requests[-1]
    assert (request.path, request.header("host")) == (sent, host)
    assert request.header("x-envoy-original-path") == (path if sent != path else None)
    assert request.header("x-envoy-original-host") == (None if host == f"{name}.test" else f"{name}.test")


def test_header_operations_on_a_request(mesh: Mesh) -> None:
    """Set, added and removed, by the rule and by its destination."""
    headers = {
        "x-client": "its own",
        "x-many": "client",
        "x-secret": "a",
        "x-second-secret": "b",
        "x-keep": "c",
    }
    mesh.ask("headers.test", headers=headers)
    request = mesh.providers["verbose"].requests[-1]
    assert request.header("x-rule") == "from the rule"
    assert request.header("x-destination") == "from the destination"
    assert request.header("x-client") == "the rule's"
    assert values(request, "x-many") == ["client", "rule", "destination"]
    assert (values(request, "x-secret"), values(request, "x-second-secret")) == ([], [])
    assert request.header("x-keep") == "c"


def test_header_operations_on_an_answer(mesh: Mesh) -> None:
    """The same on the way back."""
    headers = mesh.ask("headers.test").headers
    assert (headers["x-rule"], headers["x-destination"], headers["x-provider"]) == (
        "seen",
        "seen",
        "the rule's",
    )
    assert headers["x-many"] == "provider, rule, destination"
    assert not {"x-internal", "x-second-internal"} & headers.keys()


def test_a_header_operation_that_sets_the_host(mesh: Mesh) -> None:
    """It is a rewrite of the authority."""
    mesh.ask("header-authority.test")
    assert mesh.providers["red"].requests[-1].header("host") == "header.example"


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


@pytest.mark.parametrize(
    ("name", "shadows"),
    [("mirror", ["shadow"]), ("mirrors", ["shadow", "second-shadow"])],
)
def test_a_mirror_gets_a_copy(mesh: Mesh, name: str, shadows: list[str]) -> None:
    """The client has the destination's answer; the copy bears Envoy's mark in its host."""
    path = f"/{name}"
    answer = mesh.ask(f"{name}.test{path}", method="POST", content=b'{"a": 1}')
    assert answer.body == b"red"
    for shadow in shadows:
        requests = mesh.providers[shadow].requests
        wait_until(lambda: [r for r in requests if r.path == path], "the copy is there")  # noqa: B023
        (copy,) = (r for r in requests if r.path == path)
        assert (copy.method, copy.body, copy.header("host")) == ("POST", b'{"a": 1}', f"{name}.test-shadow")


def test_a_mirror_of_no_requests(mesh: Mesh) -> None:
    """Of 0 per cent nothing is copied; a copy that is sent afterwards shows that none is on its way."""
    assert mesh.ask("mirror-none.test/none").body == b"red"
    assert mesh.ask("mirror.test/after").body == b"red"
    requests = mesh.providers["shadow"].requests
    wait_until(lambda: [r for r in requests if r.path == "/after"], "the copy is there")
    assert not [r for r in requests if r.path == "/none"]


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
