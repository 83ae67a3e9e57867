"""Requests in the words of OpenTelemetry's conventions."""

from dataclasses import replace

import pytest

from llm_fallback.events import Answer, Attempted, Figures, Handled
from llm_fallback.telemetry import genai
from tests.telemetry.events import LOST, RECEIVED, SAVED, failed, handled


def asked(path: str, *, method: str = "POST", model: str | None = None, target: str = "a.com:80") -> Handled:
    """A request by path, with a model that somebody names or not."""
    received = replace(RECEIVED, path=path, model=model)
    return handled(method=method, received=received, attempts=(), answer=Answer(), target=target)


@pytest.mark.parametrize(
    ("event", "operation", "name"),
    [
        pytest.param(asked("/v1/chat/completions", model="m"), "chat", "chat m", id="chat"),
        pytest.param(asked("/v1/chat/completions?a=b"), "chat", "chat", id="a query, and no model"),
        pytest.param(asked("/v1/completions", model="m"), "text_completion", "text_completion m", id="text"),
        pytest.param(asked("/v1/embeddings", model="m"), "embeddings", "embeddings m", id="embeddings"),
        pytest.param(asked("/v1/responses", model="m"), "chat", "chat m", id="responses"),
        pytest.param(asked("/v1/messages", model="m"), "chat", "chat m", id="messages"),
        pytest.param(asked("/", model="m"), "chat", "chat m", id="the bare host"),
        pytest.param(asked("/v1/models", method="GET"), None, "GET a.com", id="nothing is generated"),
        pytest.param(asked("/v1/files"), None, "POST a.com", id="nothing is asked of a model"),
        pytest.param(handled(received=None), "chat", "chat qwen-max", id="the target's model"),
    ],
)
def test_operation(event: Handled, operation: str | None, name: str) -> None:
    """By the path; and the name of the span."""
    assert genai.operation_of(event) == operation
    assert genai.span_name(event, operation) == name


@pytest.mark.parametrize(
    ("target", "path", "provider"),
    [
        ("api.openai.com:80", "/", "openai"),
        ("api.anthropic.com:80", "/", "anthropic"),
        ("api.deepseek.com:80/v1", "/", "deepseek"),
        ("mine.openai.azure.com:443", "/", "azure.ai.openai"),
        ("europe-west1-aiplatform.googleapis.com:80", "/", "gcp.vertex_ai"),
        ("max.ai:80", "/", "openai"),
        ("dashscope.aliyuncs.com:80", "/v1/chat/completions", "openai"),
        ("gateway.example.com:80", "/v1/messages", "anthropic"),
        ("nowhere", "/", "openai"),
    ],
)
def test_provider(target: str, path: str, provider: str) -> None:
    """By the whole labels of the host, or by the API that it speaks."""
    assert genai.labels(asked(path, target=target), "chat")["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("event", "error"),
    [
        pytest.param(SAVED, None, id="saved"),
        pytest.param(failed(503, "UH"), "503", id="status"),
        pytest.param(failed(None, "DC", failure="reset"), "cancelled", id="the client left"),
        pytest.param(handled(flags=("UC",)), "UC", id="cut"),
        pytest.param(handled(flags=("LR",)), "LR", id="cut-here"),
        pytest.param(handled(flags=("UT",)), "UT", id="stalled"),
        pytest.param(handled(flags=("DI",)), None, id="other flags are no errors"),
    ],
)
def test_error_type(event: Handled, error: str | None) -> None:
    """Few different words."""
    assert genai.error_type(event) == error
    assert genai.attributes(event, None).get("error.type") == error


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        (LOST, "503"),
        (replace(LOST, status=None, failure="connect-failure"), "connect-failure"),
        (replace(LOST, status=None), "cancelled"),
        (replace(LOST, status=200), None),
    ],
)
def test_error_type_of_an_attempt(attempt: Attempted, error: str | None) -> None:
    """Being thrown away is no error of a good answer."""
    assert genai.attempt_error_type(attempt) == error


def test_attributes_of_a_saved_request() -> None:
    """All that is known, and nothing of what was said."""
    assert genai.attributes(SAVED, "chat") == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "server.address": "b.com",
        "server.port": 80,
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "qwen-max-2025",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.response.finish_reasons": ["stop"],
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "llm_fallback.id": "id-1",
        "llm_fallback.host": "a.com",
        "llm_fallback.route": "chat",
        "llm_fallback.target": "b.com:80",
        "llm_fallback.fallback_from": "a.com:80",
        "llm_fallback.attempts": 2,
        "llm_fallback.time_to_first_byte": 0.3,
        "llm_fallback.policy": "saver",
        "llm_fallback.rescued_from": ["a.com:80: 503"],
    }


def test_attributes_of_attempts() -> None:
    """The first and the second; an IPv6 address has no brackets, and no endpoint no address."""
    v6 = replace(LOST, endpoint="[::1]:443", figures=Figures())
    nobody = Attempted("a.com:80", None, "no healthy endpoint", 0.0)
    event = handled(attempts=(LOST, v6, nobody))

    first, second, third = (genai.attempt_attributes(event, number) for number in range(3))
    assert first == {
        "server.address": "a.com",
        "server.port": 80,
        "network.peer.address": "10.0.0.1",
        "network.peer.port": 443,
        "http.request.method": "POST",
        "http.response.status_code": 503,
        "error.type": "503",
        "gen_ai.request.model": "qwen-turbo",
        "llm_fallback.target": "a.com:80",
        "llm_fallback.result": "503",
        "llm_fallback.lost": True,
        "llm_fallback.lost.input_tokens": 4,
    }
    assert (second["network.peer.address"], second["http.request.resend_count"]) == ("::1", 1)
    assert "network.peer.address" not in third


def test_what_cannot_be_written_is_replaced() -> None:
    """Or the exporter would drop everything that is sent with it."""
    event = handled(received=replace(RECEIVED, path="/\udcff/é", model="m\ud800"))

    found = genai.attributes(event, "chat")
    assert (found["url.path"], found["gen_ai.request.model"]) == ("/?/é", "m?")
