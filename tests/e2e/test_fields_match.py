"""Which requests a VirtualService's rule takes, field by field; the others get 404."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import dedent, indent

import pytest

from tests.support.background import Background
from tests.support.proxy import Setting
from tests.support.yaml_mesh import Mesh, named, resource, running, service_entry, virtual_service

WORKLOAD = "llm_workload=app=sleep,version=v1"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request; without a host of its own, to the case's."""

    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"
    port: str = ""
    host: str = ""

    def url(self, name: str) -> str:
        """Where it goes."""
        return f"{self.scheme}://{self.host or f'{name}.test'}{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Case:
    """The matches of a rule, and requests that it takes and that it does not take."""

    match: str
    taken: list[Sent]
    left: list[Sent]


def with_header(name: str, *values: str) -> list[Sent]:
    return [Sent(headers={name: value}) for value in values]


def to(*paths: str) -> list[Sent]:
    return [Sent(path) for path in paths]


CASES = {
    "uri-exact": Case(
        """
        - uri:
            exact: /v1/models
        """,
        to("/v1/models", "/v1/models?limit=1"),
        to("/v1/models/", "/V1/models", "/"),
    ),
    "uri-prefix": Case(
        """
        - uri:
            prefix: /v1/
        """,
        to("/v1/", "/v1/chat/completions?a=b"),
        to("/v1", "/v2/", "/V1/", "/?path=/v1/"),
    ),
    "uri-regex": Case(
        r"""
        - uri:
            regex: /v\d+/(chat|models)
        """,
        to("/v1/chat", "/v22/models?x"),
        to("/v1/chat/completions", "/v/chat", "/a/v1/chat"),
    ),
    "uri-any-case": Case(
        """
        - uri:
            exact: /Models
          ignoreUriCase: true
        - uri:
            prefix: /Chat/
          ignoreUriCase: true
        """,
        to("/models", "/MODELS", "/Models", "/CHAT/x"),
        to("/models/", "/chat"),
    ),
    "scheme": Case(
        """
        - scheme:
            exact: https
        """,
        [Sent(scheme="https")],
        [Sent(scheme="http")],
    ),
    "method": Case(
        """
        - method:
            regex: POST|PUT
        """,
        [Sent(method="POST"), Sent(method="PUT")],
        [Sent(method="GET"), Sent(method="DELETE")],
    ),
    "authority": Case(
        """
        - authority:
            exact: authority.test:8080
        - authority:
            prefix: a.
        """,
        [Sent(port=":8080"), Sent(host="a.authority.test")],
        [Sent(), Sent(port=":8081"), Sent(host="b.authority.test")],
    ),
    "headers": Case(
        """
        - headers:
            x-exact:
              exact: "yes"
        - headers:
            x-prefix:
              prefix: sk-
        - headers:
            x-regex:
              regex: "[a-z]+-[0-9]"
        - headers:
            x-there: {}
        """,
        [
            *with_header("x-exact", "yes"),
            *with_header("X-Prefix", "sk-", "sk-1"),
            *with_header("x-regex", "user-1"),
            *with_header("X-There", "anything", ""),
        ],
        [
            *with_header("x-exact", "Yes", "yes!", ""),
            *with_header("x-prefix", "a sk-"),
            *with_header("x-regex", "user-12", "User-1"),
            Sent(),
        ],
    ),
    "without-headers": Case(
        """
        - withoutHeaders:
            x-canary: {}
            x-user:
              exact: nobody
        """,
        [Sent(), *with_header("x-user", "somebody")],
        [*with_header("x-canary", "1"), *with_header("x-user", "nobody")],
    ),
    "query": Case(
        r"""
        - queryParams:
            model:
              exact: qwen
            n:
              regex: \d+$
        - queryParams:
            tier:
              prefix: gold
        - queryParams:
            debug: {}
        """,
        to("/?n=12&model=qwen", "/?tier=golden", "/?debug=", "/?debug"),
        to("/", "/?model=qwen", "/?model=qwen&n=a1", "/?tier=old-gold", "/?debugger=1"),
    ),
    "port": Case(
        """
        - port: 8080
        """,
        [Sent(port=":8080")],
        [Sent(), Sent(port=":8081")],
    ),
    "source-labels": Case(
        """
        - sourceLabels:
            app: sleep
          uri:
            prefix: /mine
        - sourceLabels:
            app: sleep
            version: v2
          uri:
            prefix: /theirs
        - sourceNamespace: elsewhere
          uri:
            prefix: /there
        - gateways: [ingress]
          uri:
            prefix: /ingress
        """,
        to("/mine"),
        to("/theirs", "/there", "/ingress"),
    ),
    "all-of-one": Case(
        """
        - name: everything
          uri:
            prefix: /v1/
          method:
            exact: POST
          headers:
            user-type:
              exact: subscriber
          queryParams:
            beta: {}
        - uri:
            exact: /health
        """,
        [Sent("/v1/x?beta", "POST", {"user-type": "subscriber"}), Sent("/health")],
        [
            Sent("/v2/x?beta", "POST", {"user-type": "subscriber"}),
            Sent("/v1/x?beta", "GET", {"user-type": "subscriber"}),
            Sent("/v1/x?beta", "POST", {"user-type": "guest"}),
            Sent("/v1/x", "POST", {"user-type": "subscriber"}),
        ],
    ),
}
"""By the first label of the host."""

FIRST_WINS = """
- name: narrow
  match:
  - uri:
      prefix: /a/b
  route:
  - destination: {host: red.test}
- name: wide
  match:
  - uri:
      prefix: /a
  route:
  - destination: {host: green.test}
- name: narrow-again
  match:
  - uri:
      prefix: /a/b/c
  route:
  - destination: {host: blue.test}
- name: rest
  route:
  - destination: {host: blue.test}
"""
HOSTS = """
hosts: [%s]
http:
- route:
  - destination: {host: %s.test}
"""


def rule(case: Case) -> str:
    match = indent(dedent(case.match).strip(), "  ")
    return f"- match:\n{match}\n  route:\n  - destination: {{host: red.test}}\n"


@pytest.fixture(scope="module", name="mesh")
def run(background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    text = "".join(
        [
            *(virtual_service(name, rule(case)) for name, case in CASES.items() if name != "authority"),
            resource(
                "VirtualService",
                "authority",
                f"hosts: [authority.test, '*.authority.test']\nhttp:\n{rule(CASES['authority'])}",
            ),
            virtual_service("first-wins", FIRST_WINS),
            resource("VirtualService", "wide", HOSTS % ('"*.wild.test"', "green")),
            resource("VirtualService", "narrow", HOSTS % ('"*.deep.wild.test", other.test', "blue")),
            resource("VirtualService", "own", HOSTS % ("one.deep.wild.test", "red")),
            *(service_entry(name) for name in ("red", "green", "blue")),
        ]
    )
    providers = named("red", "green", "blue")
    folder = tmp_path_factory.mktemp("match")
    with running(background, setting, folder, text, providers, "--set", WORKLOAD) as mesh:
        yield mesh


def each(which: str) -> list[object]:
    """Every request of every case, under a name that tells them apart."""
    return [
        pytest.param(name, sent, id=f"{name}-{number}")
        for name, case in CASES.items()
        for number, sent in enumerate(getattr(case, which), 1)
    ]


@pytest.mark.parametrize(("name", "sent"), each("taken"))
def test_a_request_that_the_rule_takes(mesh: Mesh, name: str, sent: Sent) -> None:
    """It reaches the destination."""
    before = len(mesh.providers["red"].requests)
    answer = mesh.ask(sent.url(name), method=sent.method, headers=sent.headers)
    assert (answer.status, answer.body) == (200, b"red")
    assert [r.path for r in mesh.providers["red"].requests[before:]] == [sent.path]


@pytest.mark.parametrize(("name", "sent"), each("left"))
def test_a_request_that_no_rule_takes(mesh: Mesh, name: str, sent: Sent) -> None:
    """404 without a body, and no provider sees anything of it."""
    before = len(mesh.providers["red"].requests)
    answer = mesh.ask(sent.url(name), method=sent.method, headers=sent.headers)
    assert (answer.status, answer.body) == (404, b"")
    assert len(mesh.providers["red"].requests) == before


def test_the_log_says_that_there_was_no_route(mesh: Mesh) -> None:
    mesh.ask("uri-exact.test/none")
    assert " no route -> nowhere | " in mesh.told("uri-exact.test", "404 NR")


@pytest.mark.parametrize(
    ("path", "body"),
    [("/a/b", b"red"), ("/a/b/c", b"red"), ("/a", b"green"), ("/b", b"blue")],
)
def test_the_first_rule_that_takes_a_request_has_it(mesh: Mesh, path: str, body: bytes) -> None:
    """However well a later one would fit."""
    assert mesh.ask(f"first-wins.test{path}").body == body


@pytest.mark.parametrize(
    ("host", "body"),
    [
        pytest.param("one.deep.wild.test", b"red", id="its-own-name"),
        pytest.param("ONE.deep.WILD.test", b"red", id="its-own-name-in-capitals"),
        pytest.param("two.deep.wild.test", b"blue", id="the-longer-suffix"),
        pytest.param("a.two.deep.wild.test", b"blue", id="two-labels-before-it"),
        pytest.param("deep.wild.test", b"green", id="the-shorter-suffix"),
        pytest.param("other.test", b"blue", id="the-second-host-of-a-list"),
    ],
)
def test_the_most_specific_host_has_a_request(mesh: Mesh, host: str, body: bytes) -> None:
    """An exact name before the longest wildcard before a shorter one."""
    assert mesh.ask(host).body == body


def test_a_wildcard_is_not_for_its_own_suffix(mesh: Mesh) -> None:
    """`wild.test` is nobody's here: it goes to whom it names, who does not exist."""
    assert mesh.ask("wild.test").status == 502
