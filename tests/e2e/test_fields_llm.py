"""LLMProvider and LLMRoute, field by field, as the openai SDK and the providers see them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, Answer, ask, sdk
from tests.support.provider import Behaviour, Exchange, Provider, respond
from tests.support.proxy import Setting
from tests.support.secret import Secret
from tests.support.yaml_mesh import Mesh, resource, running, service_entry

OWN = Secret("the client's own key", "the-clients-own")
DEFAULT = Secret("the default key", "sk-default-4b1d")
VIP = Secret("the subscribers' key", "sk-vip-9ce2")
OTHER = Secret("the other provider's key", "sk-other-77a0")
SETTINGS = ("--set", "llm_workload=app=sleep,version=v1")

CLOUD = """
host: cloud.test
path: /compatible-mode/v1/chat/completions
workloadSelector:
  labels:
    app: sleep
configs:
  defaultConfig:
    openAIConfig:
      model: qwen-small
      apiKey: ${DEFAULT_KEY}
  routeSpecificConfigs:
    vip-route:
      openAIConfig:
        model: qwen-large
        stream: true
        apiKey: ${VIP_KEY}
    keyless-route:
      openAIConfig: {}
"""
MOON = """
host: moon.test
path: /v1/chat/completions
configs:
  defaultConfig:
    openAIConfig:
      model: moon-8k
      apiKey: ${OTHER_KEY}
"""
BARE = """
host: bare.test
"""
STREAMING = """
host: streaming.test
path: /chat/completions
configs: {defaultConfig: {openAIConfig: {stream: true}}}
"""
FOREIGN = """
host: foreign.test
path: /foreign/chat/completions
workloadSelector: {labels: {app: somebody-else}}
configs: {defaultConfig: {openAIConfig: {model: foreign, apiKey: sk-unused}}}
"""
CLOUD_ROUTE = """
host: cloud.test
rules:
- name: vip-route
  matches:
  - headers:
      user-type:
        exact: subscriber
  backendRefs:
  - providerHost: cloud.test
- name: keyless-route
  matches:
  - headers:
      user-type:
        exact: keyless
  backendRefs:
  - providerHost: cloud.test
- name: premium-route
  matches:
  - headers:
      user-type:
        prefix: premium-
  - headers:
      x-team:
        regex: research-[0-9]+
      x-paid:
        exact: "yes"
  backendRefs:
  - providerHost: moon.test
- name: ours
  matches:
  - sourceLabels:
      app: sleep
      version: v1
    headers:
      x-who: {exact: us}
  backendRefs:
  - providerHost: moon.test
    hostRewrite: rewritten.example
- name: theirs
  matches:
  - sourceLabels:
      app: somebody-else
  backendRefs:
  - providerHost: bare.test
- backendRefs:
  - providerHost: cloud.test
"""
SPLIT = """
host: split.test
rules:
- name: split
  backendRefs:
  - providerHost: cloud.test
    weight: 50
  - providerHost: moon.test
    weight: 50
  - providerHost: bare.test
    weight: 0
"""
STRICT = """
host: strict.test
rules:
- name: subscribers
  matches:
  - headers: {user-type: {exact: subscriber}}
  backendRefs:
  - providerHost: cloud.test
"""


def completing(name: str) -> Behaviour:
    """Answer as an OpenAI-compatible provider, streamed if asked to; the text is the provider's name."""

    async def behave(exchange: Exchange) -> None:
        asked = exchange.request.json()
        common = {"id": "1", "created": 1, "model": asked.get("model", "none")}
        if asked.get("stream"):
            delta = {"index": 0, "delta": {"role": "assistant", "content": name}, "finish_reason": None}
            event = json.dumps({**common, "object": "chat.completion.chunk", "choices": [delta]})
            body = f"data: {event}\n\ndata: [DONE]\n\n".encode()
            await respond(200, body, (("content-type", "text/event-stream"),))(exchange)
            return
        message = {"index": 0, "message": {"role": "assistant", "content": name}, "finish_reason": "stop"}
        whole = {**common, "object": "chat.completion", "choices": [message]}
        await respond(200, json.dumps(whole).encode())(exchange)

    return behave


@pytest.fixture(scope="module", name="mesh")
def run(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    keys = {"DEFAULT_KEY": DEFAULT.value, "VIP_KEY": VIP.value, "OTHER_KEY": OTHER.value}
    specs = {"cloud": CLOUD, "moon": MOON, "bare": BARE, "streaming": STREAMING, "foreign": FOREIGN}
    text = "".join(
        [
            *(resource("LLMProvider", name, spec) + service_entry(name) for name, spec in specs.items()),
            resource("LLMRoute", "cloud-route", CLOUD_ROUTE),
            resource("LLMRoute", "split-route", SPLIT),
            resource("LLMRoute", "strict-route", STRICT),
        ]
    )
    providers = {name: Provider(completing(name), authority.issue(f"{name}.test")) for name in specs}
    own = replace(setting, environment=keys)
    with running(background, own, tmp_path_factory.mktemp("llm"), text, providers, *SETTINGS) as mesh:
        yield mesh


def chat(mesh: Mesh, host: str, headers: Mapping[str, str] | None = None, **more: Any) -> str:
    """The text of the answer that the openai SDK gets."""
    with sdk(f"http://{host}/v1", mesh.proxy) as client:
        completion = client.chat.completions.create(
            model="the-clients",
            messages=[{"role": "user", "content": "hello"}],
            extra_headers=headers,
            **more,
        )
        if more.get("stream"):
            return "".join(chunk.choices[0].delta.content or "" for chunk in completion)
        return str(completion.choices[0].message.content)


def post(mesh: Mesh, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    content = json.dumps({"messages": [], **body}).encode()
    sent = {**JSON, "authorization": f"Bearer {OWN.value}", **(headers or {})}
    return mesh.ask(url, method="POST", content=content, headers=sent)


def test_path(mesh: Mesh) -> None:
    """The bare host, `/v1/...` of SDKs and every other chat path become the provider's."""
    provider = mesh.providers["cloud"]
    ask(mesh.proxy, "http://cloud.test")  # curl, as in the tutorial
    chat(mesh, "cloud.test")
    post(mesh, "cloud.test/openai/chat/completions?trace=1", {})
    path = "/compatible-mode/v1/chat/completions"
    assert [r.path for r in provider.requests[-3:]] == [path, path, f"{path}?trace=1"]
    assert {(r.header("host"), r.sni) for r in provider.requests[-3:]} == {("cloud.test", "cloud.test")}


def test_without_a_path(mesh: Mesh) -> None:
    """The client's stays, and so do its model and its key."""
    assert chat(mesh, "bare.test") == "bare"
    request = mesh.providers["bare"].requests[-1]
    assert (request.path, request.json()["model"]) == ("/v1/chat/completions", "the-clients")
    assert OWN.is_bearer_of(request)


def test_model_and_api_key(mesh: Mesh) -> None:
    """The provider's, whatever the client says."""
    assert chat(mesh, "moon.test") == "moon"
    request = mesh.providers["moon"].requests[-1]
    assert request.json()["model"] == "moon-8k"
    assert OTHER.is_bearer_of(request)
    assert not OWN.occurs_in(request)


def test_stream(mesh: Mesh) -> None:
    """A default: the client's own `stream` stands before it."""
    default = post(mesh, "streaming.test/chat/completions", {})
    whole = post(mesh, "streaming.test/chat/completions", {"stream": False})
    sent = [request.json()["stream"] for request in mesh.providers["streaming"].requests[-2:]]
    assert sent == [True, False]
    assert default.headers["content-type"] == "text/event-stream"
    assert json.loads(whole.body)["object"] == "chat.completion"
    assert chat(mesh, "streaming.test", stream=True) == "streaming"


def test_a_provider_for_other_workloads(mesh: Mesh) -> None:
    """Its path, model and key are not for this proxy's; the client's request goes as it is."""
    post(mesh, "foreign.test/v1/chat/completions", {"model": "the-clients"})
    request = mesh.providers["foreign"].requests[-1]
    assert (request.path, request.json()["model"]) == ("/v1/chat/completions", "the-clients")
    assert OWN.is_bearer_of(request)


@pytest.mark.parametrize(
    ("user_type", "model", "stream", "key"),
    [
        pytest.param("subscriber", "qwen-large", True, VIP, id="the-rule's-settings"),
        pytest.param("guest", "qwen-small", None, DEFAULT, id="the-default-settings"),
        pytest.param("keyless", "the-clients", None, OWN, id="nothing-is-taken-over-from-the-default"),
    ],
)
def test_route_specific_configs(
    mesh: Mesh, user_type: str, model: str, *, stream: bool | None, key: Secret
) -> None:
    """By the name of the LLMRoute's rule that the request falls under."""
    headers = {"user-type": user_type}
    post(mesh, "cloud.test/v1/chat/completions", {"model": "the-clients"}, headers)
    request = mesh.providers["cloud"].requests[-1]
    assert (request.json()["model"], request.json().get("stream")) == (model, stream)
    assert key.is_bearer_of(request)


@pytest.mark.parametrize(
    ("headers", "provider"),
    [
        pytest.param({"user-type": "premium-1"}, "moon", id="prefix"),
        pytest.param({"user-type": "a-premium-1"}, "cloud", id="not-the-prefix"),
        pytest.param({"x-team": "research-12", "x-paid": "yes"}, "moon", id="regex-and-exact"),
        pytest.param({"x-team": "research-12"}, "cloud", id="one-of-two-conditions"),
        pytest.param({"x-team": "research-12a", "x-paid": "yes"}, "cloud", id="a-regex-is-for-all-of-it"),
        pytest.param({"x-paid": "yes", "user-type": "premium-1"}, "moon", id="one-of-two-alternatives"),
        pytest.param({"user-type": "subscriber", "x-who": "us"}, "cloud", id="the-first-rule-wins"),
        pytest.param({"x-who": "us"}, "moon", id="the-workload's-labels"),
        pytest.param({}, "cloud", id="the-rule-without-matches"),
    ],
)
def test_a_header_picks_another_provider(mesh: Mesh, headers: dict[str, str], provider: str) -> None:
    """With that provider's path, model and key; the client's key goes nowhere."""
    if headers.get("user-type") == "subscriber":
        headers = {**headers, "x-stainless-retry-count": "0"}
        assert chat(mesh, "cloud.test", headers, stream=True) == provider
    else:
        assert chat(mesh, "cloud.test", headers) == provider
    request = mesh.providers[provider].requests[-1]
    assert not OWN.occurs_in(request)
    if provider == "moon":
        assert (request.path, request.json()["model"]) == ("/v1/chat/completions", "moon-8k")
        assert OTHER.is_bearer_of(request)
        assert request.sni == "moon.test"


def test_host_rewrite(mesh: Mesh) -> None:
    """The provider is called, and told another host."""
    chat(mesh, "cloud.test", {"x-who": "us"})
    request = mesh.providers["moon"].requests[-1]
    assert (request.header("host"), request.sni) == ("rewritten.example", "moon.test")
    chat(mesh, "cloud.test", {"user-type": "premium-1"})
    assert mesh.providers["moon"].requests[-1].header("host") == "moon.test"


def test_a_split_of_two_providers(mesh: Mesh) -> None:
    """Half and half, nothing for a weight of 0: of 200, 100, give or take six standard deviations."""
    bodies = [json.loads(post(mesh, "split.test", {}).body) for _ in range(200)]
    tally = Counter(body["choices"][0]["message"]["content"] for body in bodies)
    assert tally.keys() == {"cloud", "moon"}
    assert 58 < tally["cloud"] < 142
    assert {body["model"] for body in bodies} == {"qwen-small", "moon-8k"}


def test_a_request_that_no_rule_takes(mesh: Mesh) -> None:
    answers = [post(mesh, "strict.test", {}, {"user-type": kind}) for kind in ("guest", "subscriber")]
    assert [(a.status, bool(a.body)) for a in answers] == [(404, False), (200, True)]
    assert mesh.told("strict.test", "404 NR")
