"""A saved flow can be sent again: the key that is not in it comes from the configuration."""

from dataclasses import replace
from pathlib import Path

import pytest

from standin import Answers, StandIn
from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, http_client
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting
from tests.support.saved import read_flows
from tests.support.secret import Secret

KEY = Secret("the provider's key", "sk-replay-5ca1ab1e")
CLIENT_KEY = Secret("the client's key", "sk-client-0ddba11")
PLACEHOLDER = Secret("what stands in a saved flow for a key", "[redacted]")


def test_an_address_that_bears_the_name_of_a_managed_host(
    background: Background, setting: Setting, tmp_path: Path
) -> None:
    """Is sent to again, whatever its Host header says: the name's provider and its key have no part in it."""
    setting = replace(setting, environment={"KEY": KEY.value})
    somebody, provider = Provider(respond()), Provider(respond())
    saved = tmp_path / "flows.mitm"
    with background.serving(somebody), background.serving(provider):
        config = write_mesh(tmp_path, Host(name="a.test", port=provider.port, tls=False, key="${KEY}"))
        with Proxy(setting, config, "-w", str(saved)) as proxy, http_client(proxy) as client:
            client.get(f"http://127.0.0.1:{somebody.port}/u", headers={"Host": "a.test"})
        with Proxy(setting, config, "-C", str(saved)):
            wait_until(lambda: somebody.requests[1:] or provider.requests, "it has been sent again")
    assert [request.path for request in somebody.requests] == ["/u", "/u"]
    assert provider.requests == []


@pytest.mark.parametrize("path", ["", "/v1/chat/completions", "/v1/chat/completions?api-key=sk-query"])
def test_client_replay(
    path: str, background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """The provider gets the same request again, with its key; the flow gets the new answer."""
    setting = replace(setting, environment={"KEY": KEY.value})
    provider = StandIn(Answers(key=KEY.value), tls=authority.issue("provider.test"))
    saved, again = tmp_path / "flows.mitm", tmp_path / "again.mitm"
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name="provider.test", port=provider.port, key="${KEY}"))
        headers = {**JSON, "Authorization": f"Bearer {CLIENT_KEY.value}", "api-key": CLIENT_KEY.value}
        with Proxy(setting, config, "-w", str(saved)) as proxy, http_client(proxy) as client:
            assert client.post(f"http://provider.test{path}", content=QUESTION, headers=headers).is_success
        with Proxy(setting, config, "-C", str(saved), "-w", str(again)) as proxy:
            assert proxy.wait() == 0  # by itself, when all that it was to send is answered and saved
        first, second = provider.seen
    assert KEY.is_bearer_of(second)
    assert not CLIENT_KEY.occurs_in(second)
    assert not PLACEHOLDER.occurs_in(second)
    assert (second.host, second.path, second.body) == (first.host, first.path, first.body)
    replayed = [flow for flow in read_flows(again) if flow.is_replay == "request"]
    assert [flow.response and flow.response.status_code for flow in replayed] == [200]
    assert replayed[0].response
    assert b"chat.completion" in (replayed[0].response.get_content() or b"")
