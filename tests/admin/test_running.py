"""The admin API of the real proxy: found by its file, told what to do, and gone with it."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_fallback import runtime
from llm_fallback.runtime import NoRuntimeError, Runtime
from standin import StandIn
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, TIMEOUT_S, http_client
from tests.support.mesh import Host, write_mesh
from tests.support.proxy import Proxy, Setting
from tests.support.secret import Secret, leaks

KEY = Secret("the provider's key", "sk-provider-6d1b")
BEARER = Secret("the client's Authorization", "sk-client-88e1")
QUERY_KEY = Secret("the client's ?api-key=", "query-key-41ab")
SECRETS = (KEY, BEARER, QUERY_KEY)
PATHS = ("/api/state", "/config_dump", "/configuration", "/clusters?format=json", "/stats", "/help")


def act(found: Runtime, name: str, *, status: int = 200, **body: Any) -> str:
    """What the proxy says of an action."""
    headers = {"Authorization": f"Bearer {found.token}"}
    with httpx.Client(base_url=found.url, trust_env=False, timeout=TIMEOUT_S) as client:
        answer = client.post(f"/api/actions/{name}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    message: str = answer.json()["message" if status == 200 else "error"]
    return message


def state(found: Runtime) -> Any:
    """What `/api/state` says."""
    return httpx.get(f"{found.url}/api/state", trust_env=False, timeout=TIMEOUT_S).json()


def endpoint_of(told: Any, target: str) -> Any:
    """The only endpoint of a target."""
    [found] = [each for each in told["targets"] if each["name"] == target]
    [endpoint] = found["endpoints"]
    return endpoint


def first_event(found: Runtime) -> Any:
    """The data of the first event of the stream."""
    with httpx.stream("GET", f"{found.url}/api/events", trust_env=False, timeout=TIMEOUT_S) as answer:
        line = next(line for line in answer.iter_lines() if line.startswith("data: "))
    return json.loads(line.removeprefix("data: "))


def test_found_told_and_gone(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """By the file that says where it is: an ejection by hand, its fallback, and the return; no secrets."""
    primary = StandIn(tls=authority.issue("primary.test"))
    fallback = StandIn(tls=authority.issue("fallback.test"))
    environment: Mapping[str, str] = {runtime.FOLDER_VARIABLE: str(tmp_path / "runtime"), "KEY": KEY.value}
    with background.serving(primary), background.serving(fallback):
        config = write_mesh(
            tmp_path,
            Host(name="primary.test", port=primary.port, key="${KEY}", fallback="fallback.test"),
            Host(name="fallback.test", port=fallback.port, key=KEY.value),
        )
        with Proxy(
            replace(setting, environment=environment), config, "--set", "llm_admin=127.0.0.1:0"
        ) as proxy:
            proxy.wait_for_line(r"admin page at ")
            found = runtime.find(environment=environment)
            assert found.proxy == (f"127.0.0.1:{proxy.port}",)
            assert re.search(rf"admin page at {re.escape(found.url)}$", "\n".join(proxy.lines), re.MULTILINE)

            told = act(found, "eject", place="primary.test", for_s=300)
            assert told == "ejected primary.test:80 by hand for 300 s"
            assert endpoint_of(state(found), "primary.test:80")["state"] == "ejected by hand"
            with http_client(proxy) as client:
                url = f"https://primary.test/v1/chat/completions?api-key={QUERY_KEY.value}"
                headers = {"Authorization": f"Bearer {BEARER.value}"}
                assert client.post(url, content=QUESTION, headers={**JSON, **headers}).status_code == 200
            act(found, "return", place="all")

            now = state(found)
            assert endpoint_of(now, "primary.test:80")["state"] == "in rotation"
            assert now["decisions"][0]["target"] == "fallback.test:80"
            assert [each["kind"] for each in reversed(now["timeline"])] == [
                *("reload", "ejected", "action", "fallback", "returned", "action")
            ]
            assert first_event(found)["decisions"] == now["decisions"]
            assert act(found, "reload") == "managing primary.test, fallback.test"
            config.write_text("kind: LLMProvidr\n", encoding="utf-8")
            assert "LLMProvidr" in act(found, "reload", status=400)
            with httpx.Client(base_url=found.url, trust_env=False, timeout=TIMEOUT_S) as admin:
                places = {path: admin.get(path).content for path in PATHS}
            assert leaks(places, SECRETS) == []
            assert (
                leaks({"the log": "\n".join(proxy.lines).encode()}, (Secret("the token", found.token),)) == []
            )
    with pytest.raises(NoRuntimeError):
        runtime.find(environment=environment)
    assert not list((tmp_path / "runtime").iterdir())
    assert len(fallback.seen) == 1
