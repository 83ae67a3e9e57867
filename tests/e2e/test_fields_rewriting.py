"""What a VirtualService's rule changes in requests and answers, and who gets a copy."""

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
    authority: regex.example
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
MIRRORS = {
    "mirror": "mirror: {host: shadow.test}",
    "mirror-none": "mirror: {host: shadow.test}\n  mirrorPercentage: {value: 0}",
    "mirrors": """mirrors:
  - destination: {host: shadow.test}
    percentage: {value: 100}
  - destination: {host: second-shadow.test}""",
    "mirrors-none": """mirrors:
  - destination: {host: shadow.test}
    percentage: {value: 0}""",
}


def with_a_route(action: str) -> str:
    return f"- {action}\n  route:\n  - destination: {{host: red.test}}\n"


@pytest.fixture(scope="module", name="mesh")
def run(background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    verbose = (("x-internal", "1"), ("x-second-internal", "2"), ("x-many", "provider"), ("x-provider", "its"))
    providers = named("red", "shadow", "second-shadow") | {"verbose": Provider(respond(headers=verbose))}
    text = "".join(
        [
            *(virtual_service(name, rules) for name, rules in REWRITES.items()),
            *(virtual_service(name, with_a_route(mirror)) for name, mirror in MIRRORS.items()),
            virtual_service("headers", HEADERS),
            virtual_service("header-authority", HEADER_AUTHORITY),
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
        ("rewrite-regex", "/users/joe/keys?c", "/keys/of/joe?c", "regex.example"),
        ("rewrite-regex", "/users/joe", "/users/joe", "regex.example"),
        ("rewrite-authority", "/a?b", "/a?b", "other.example"),
        ("rewrite-both", "/a?b", "/v2/a?b", "other.example:8080"),
    ],
)
def test_rewrite(mesh: Mesh, name: str, path: str, sent: str, host: str) -> None:
    """Path and host change; the query stays, and the provider is told what they were (as Envoy does)."""
    assert mesh.ask(f"{name}.test{path}").body == b"red"
    request = mesh.providers["red"].requests[-1]
    assert (request.path, request.header("host")) == (sent, host)
    assert request.header("x-envoy-original-path") == (None if name == "rewrite-authority" else path)
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


@pytest.mark.parametrize("name", ["mirror-none", "mirrors-none"])
def test_a_mirror_of_no_requests(mesh: Mesh, name: str) -> None:
    """Of 0 per cent nothing is copied; a copy that is sent afterwards shows that none is on its way."""
    assert mesh.ask(f"{name}.test/{name}").body == b"red"
    assert mesh.ask(f"mirror.test/after-{name}").body == b"red"
    requests = mesh.providers["shadow"].requests
    wait_until(lambda: [r for r in requests if r.path == f"/after-{name}"], "the copy is there")
    assert not [r for r in requests if r.path == f"/{name}"]
