"""No key is shown anywhere: not in a page, a log, a metric, a span, a file, a flow or a crash."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_actions import TYPIST
from tests.e2e.test_defects import BREAKER, CONTROL
from tests.e2e.test_defects import MARKER as IN_A_CRASH
from tests.support.background import Background
from tests.support.canary import Places, Stage, in_mitmweb, stage
from tests.support.certificates import Authority
from tests.support.clients import http_client
from tests.support.credentials import CLIENTS, IN_HEADER, MARKER, PROXY_KEY
from tests.support.mesh import PATH, Host
from tests.support.parrot import HANG, IN_ANSWER, PLAYS, chatty_parrot, parrot
from tests.support.policies import policy, write_rescued
from tests.support.provider import Provider
from tests.support.proxy import Setting
from tests.support.secret import Secret, inflated, leaks

KEYED, KEYLESS, RESCUED, FALLING, LAST = (
    "keyed.test",
    "keyless.test",
    "rescued.test",
    "falling.test",
    "last.test",
)
HOSTS = (KEYED, KEYLESS, RESCUED, FALLING, LAST)
KEYS = {
    KEYED: Secret("the keyed provider's key", "sk-canary-keyed-91f0c7"),
    RESCUED: Secret("the rescued provider's key", "sk-canary-rescued-5d02ab"),
    FALLING: Secret("the ejected provider's key", "sk-canary-falling-c3e814"),
    LAST: Secret("the fallback's key", "sk-canary-last-0b7e66"),
}
CRASH = Secret("what a defect quotes", IN_A_CRASH)
IN_PATH = Secret("what a path has from a variable", "canary-tenant-2f9d")
ALL = (*KEYS.values(), *CLIENTS, PROXY_KEY, CRASH, IN_PATH)
PLACEHOLDER = "[redacted]"
DEFECTS = (
    "upstream.dispatch:rewrite",
    "mitm.carriage:story.comment",
    "mitm.attempt_flows:flows.show_request",
)


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """All places, the admin page's token, what the providers got, and what the clients got."""

    places: Places
    token: Secret
    runtime_files: list[bytes]
    providers: dict[str, Provider]
    answers: list[httpx.Response | None]


@pytest.fixture(scope="module", name="seen")
def played(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Seen]:
    """An outage of providers that repeat what they are sent, with everybody looking."""
    folder: Path = tmp_path_factory.mktemp("canary")
    scripts = {"breaker.py": BREAKER, "typist.py": TYPIST}
    for name, source in scripts.items():
        (folder / name).write_text(source, encoding="utf-8")
    loaded = [part for name in scripts for part in ("-s", str(folder / name))]
    variables = {"KEYED_KEY": KEYS[KEYED].value, "LAST_KEY": KEYS[LAST].value, "TENANT": IN_PATH.value}
    setting = replace(setting, environment=variables)
    providers = {name: Provider(parrot, authority.issue(name)) for name in HOSTS}
    providers[LAST].behaviour = chatty_parrot
    with ExitStack() as stack:
        for provider in providers.values():
            stack.enter_context(background.serving(provider))
        config = write_config(folder / "mesh", providers)
        with stage(setting, config, folder, *loaded) as (here, places):
            token = Secret("the admin page's token", here.known.token)
            answers = play(here, places, providers)
            runtime_files = [file.read_bytes() for file in (folder / "run").iterdir()]
        places |= in_mitmweb(here.setting, config, folder / "flows.mitm")
        yield Seen(places, token, runtime_files, providers, answers)


def write_config(folder: Path, providers: dict[str, Provider]) -> Path:
    """Keys from variables and written down, a policy, and the mesh's own fallback."""
    keys = {KEYED: "${KEYED_KEY}", LAST: "${LAST_KEY}", RESCUED: KEYS[RESCUED].value}
    keys[FALLING] = KEYS[FALLING].value
    fallbacks = {RESCUED: LAST, FALLING: LAST}
    hosts = [
        Host(
            name=name,
            port=provider.port,
            path="/${TENANT}/chat/completions" if name in (KEYED, LAST) else PATH,
            key=keys.get(name),
            threshold=1 if name == FALLING else None,
            fallback=fallbacks.get(name),
        )
        for name, provider in providers.items()
    ]
    return write_rescued(folder, hosts, policy("rescued"))


def play(here: Stage, places: Places, providers: dict[str, Provider]) -> list[httpx.Response | None]:
    """Everything that can go wrong, and everybody who can be asked about it."""
    answers = [here.ask(host, play) for host in (KEYED, KEYLESS) for play in PLAYS]
    answers += [
        here.ask(host, play, http2=True) for host in (RESCUED, FALLING) for play in ("out", "out", "inside")
    ]
    answers.append(here.ask(KEYED, "header", http2=True))
    asked = len(providers[KEYED].requests)
    with here.waiting(KEYED, HANG, lambda: len(providers[KEYED].requests) > asked):
        places |= here.pages("during")
    here.proxy.wait_for_line(r"\| no answer DC in ")
    with http_client(here.proxy) as client:
        for place in DEFECTS:
            client.get(f"http://{CONTROL}/", params={"place": place})
            answers.append(here.ask(RESCUED, "out"))
    places |= {f"llm.{line}": here.typed(f"llm.{line}") for line in ("status", "explain", "places")}
    answers.append(here.ask(KEYED, "error"))
    export = here.folder / "captured.json"
    here.typed(f"llm.export {export}")
    places["llm.export"] = export.read_bytes()
    places["status"] = here.told("status")
    places["status -o json"] = here.told("status", "-o", "json")
    places["fault -f"] = here.told("fault", "-f", str(export), "--count", "1")
    answers.append(here.ask(KEYED, "error"))
    places["explain"] = here.told("explain", "-f", str(here.config), "--url", f"http://{FALLING}/v1")
    places |= here.pages("after")
    return answers


def test_the_keys_arrived(seen: Seen) -> None:
    """A positive control: each provider got its own, and those without one the client's."""
    for host, key in KEYS.items():
        assert seen.providers[host].requests
        assert all(key.is_bearer_of(request) for request in seen.providers[host].requests)
    assert all(
        IN_PATH.occurs_in(request) for host in (KEYED, LAST) for request in seen.providers[host].requests
    )
    for request in seen.providers[KEYLESS].requests:
        assert [s.name for s in CLIENTS if s.occurs_in(request)] == [s.name for s in CLIENTS]


def test_the_keys_were_repeated(seen: Seen) -> None:
    """A positive control: providers did repeat them, and their clients got what they said."""
    got = {f"answer {n}": a.content + str(a.headers.raw).encode() for n, a in enumerate(seen.answers) if a}
    assert {leak.partition(" in answer")[0] for leak in leaks(got, ALL)} == {
        secret.name for secret in (KEYS[KEYED], KEYS[FALLING], KEYS[LAST], *CLIENTS)
    }


def test_headers_reach_the_client(seen: Seen) -> None:
    """As the provider sent them, whatever is shown of them, in HTTP/1 and HTTP/2."""
    got = [answer.headers["x-debug"] for answer in seen.answers if answer and "x-debug" in answer.headers]
    assert sum(KEYS[KEYED].value in value for value in got) == 2


def test_nothing_is_found_of_a_key(seen: Seen) -> None:
    """In no place, nor compressed inside of one; the token is in none of them either."""
    places = dict(seen.places)
    places |= {f"{name}, inflated": inflated(content) for name, content in seen.places.items()}
    assert leaks(places, (*ALL, seen.token)) == []


def test_the_token_is_in_its_file(seen: Seen) -> None:
    """And no key is."""
    (file,) = seen.runtime_files
    assert json.loads(file)["token"] == seen.token.value
    assert leaks({"the file": file}, ALL) == []


@pytest.mark.parametrize(
    ("place", "marker"),
    [
        *(
            (place, marker)
            for place in ("flows.mitm", "out.har", "the log")
            for marker in (MARKER, IN_HEADER)
        ),
        *((place, IN_ANSWER) for place in ("flows.mitm", "out.har", "the log", "llm.export")),
        *((place, PLACEHOLDER) for place in ("flows.mitm", "out.har", "the log", "llm.export")),
        *((f"/config_dump {when}", PLACEHOLDER) for when in ("during", "after")),
        *((f"/api/state {when}", FALLING) for when in ("during", "after")),
        *((f"/stats/prometheus {when}", FALLING) for when in ("during", "after")),
        *((f"/clusters{form} after", LAST) for form in ("", "?format=json")),
        ("/stats after", f"{LAST}.upstream_rq"),
        ("/configuration after", "mesh.yaml"),
        ("/logging after", "llm-fallback"),
        ("/api/events", f'"host": "{KEYLESS}"'),
        ("/api/events", PLACEHOLDER),
        ("access.log", FALLING),
        ("ejections.log", FALLING),
        ("OTLP /v1/traces", FALLING),
        ("OTLP /v1/metrics", "gen_ai"),
        ("llm.status", FALLING),
        ("llm.explain", PLACEHOLDER),
        ("status", FALLING),
        ("status -o json", PLACEHOLDER),
        ("fault -f", KEYED),
        ("explain", FALLING),
        ("mitmweb /flows", IN_HEADER),
        ("the log", "RuntimeError while handling a request"),
    ],
)
def test_a_marker_is_found(seen: Seen, place: str, marker: str) -> None:
    """The positive control of each place: what is no secret is there."""
    assert marker in seen.places[place].decode(errors="replace")


@pytest.mark.parametrize("view", ["auto", "LLM", "raw"])
def test_mitmweb_shows_the_answers(seen: Seen, view: str) -> None:
    """The positive control of its views."""
    shown = [
        c
        for name, c in seen.places.items()
        if name.startswith("mitmweb") and name.endswith(f"response {view}")
    ]
    assert sum(IN_ANSWER.encode() in content for content in shown) > len(PLAYS)
    assert sum(PLACEHOLDER.encode() in content for content in shown) > len(PLAYS)
