"""A request's line; names and values beside those of real Envoy."""

import json

import pytest

from llm_fallback.events import PER_TRY_TIMEOUT, Answer, Handled, Received
from llm_fallback.telemetry.access_log import as_entry
from tests.telemetry.events import AT, SAVED, failed, handled

ENVOYS = {
    "start_time": "2023-11-14T22:13:20.250Z",
    "method": "POST",
    "path": "/v1/chat/completions?key=[redacted]",
    "authority": "a.com",
    "response_code": 200,
    "response_flags": "-",
    "response_code_details": "via_upstream",
    "bytes_received": 120,
    "bytes_sent": 2048,
    "duration": 1500,
    "upstream_service_time": "200",
    "upstream_host": "10.0.0.2:443",
    "upstream_cluster": "outbound|80||b.com",
    "route_name": "chat",
    "downstream_remote_address": "127.0.0.1:50000",
    "x_forwarded_for": None,
    "user_agent": "openai-python",
    "request_id": "r-1",
}
OURS = {
    "request_model": "gpt-4o",
    "response_model": "qwen-max-2025",
    "input_tokens": 11,
    "output_tokens": 7,
    "finish_reason": "stop",
    "time_to_first_byte": 300,
    "attempts": 2,
    "attempts_lost": 1,
    "duration_lost": 62,
    "fallback_from": "a.com:80",
    "rescued_from": ["a.com:80: 503"],
    "override": None,
}


def test_a_saved_request() -> None:
    """Everything that is known, and it is plain JSON."""
    entry = as_entry(SAVED)

    assert entry == ENVOYS | OURS
    assert json.loads(json.dumps(entry)) == entry


def test_a_request_without_a_route() -> None:
    """The names are the same, and null is what there is not."""
    entry = as_entry(Handled("GET", "a.com", "no route", "nowhere", None, (), 404, ("NR",), 0.001, id="id-2"))

    assert list(entry) == list(ENVOYS | OURS)
    assert {name: value for name, value in entry.items() if value not in (None, 0, [])} == {
        "method": "GET",
        "authority": "a.com",
        "response_code": 404,
        "response_flags": "NR",
        "response_code_details": "route_not_found",
        "duration": 1,
        "request_id": "id-2",
    }


BEFORE, AFTER = "upstream_reset_before_response_started", "upstream_reset_after_response_started"


@pytest.mark.parametrize(
    ("event", "details"),
    [
        pytest.param(handled(status=429, flags=("URX",)), "via_upstream", id="an error of the upstream's"),
        pytest.param(failed(503, "UH"), "no_healthy_upstream", id="UH"),
        pytest.param(failed(503, "NC"), "cluster_not_found", id="NC"),
        pytest.param(failed(418, "FI"), "fault_filter_abort", id="FI"),
        pytest.param(failed(None, "DC", failure="reset"), "downstream_remote_disconnect", id="DC"),
        pytest.param(handled(flags=("DC",)), "downstream_remote_disconnect", id="DC while it is answered"),
        pytest.param(failed(504, "UT", failure="timeout"), "response_timeout", id="UT"),
        pytest.param(
            failed(504, "UT", failure=PER_TRY_TIMEOUT), "upstream_per_try_timeout", id="UT of a try"
        ),
        pytest.param(handled(flags=("UT",)), "response_timeout", id="UT while it is answered"),
        pytest.param(handled(flags=("UC",)), f"{AFTER}{{connection_termination}}", id="cut"),
        pytest.param(handled(flags=("LR",)), f"{AFTER}{{local_reset}}", id="cut-here"),
        pytest.param(failed(503, "UC", failure="reset"), f"{BEFORE}{{connection_termination}}", id="UC"),
        pytest.param(
            failed(503, "UF", failure="connect-failure"), f"{BEFORE}{{remote_connection_failure}}", id="UF"
        ),
        pytest.param(
            failed(503, "UF", failure="connect-timeout"), f"{BEFORE}{{connection_timeout}}", id="slow"
        ),
        pytest.param(failed(503, "UO", failure="overflow"), f"{BEFORE}{{overflow}}", id="UO"),
        pytest.param(failed(502, "UPE", failure="protocol-error"), f"{BEFORE}{{protocol_error}}", id="UPE"),
        pytest.param(failed(500), None, id="not known"),
    ],
)
def test_details(event: Handled, details: str | None) -> None:
    """Envoy's words for how it ended."""
    assert as_entry(event)["response_code_details"] == details


def test_the_client_left() -> None:
    """Without a status, as with Envoy, it is 0."""
    entry = as_entry(failed(None, "DC", failure="reset"))

    assert (entry["response_code"], entry["response_flags"]) == (0, "DC")
    assert entry["upstream_host"] == "10.0.0.1:443"


@pytest.mark.parametrize(
    ("target", "cluster"), [("a.com:80/v1", "outbound|80|v1|a.com"), ("nowhere", None), ("", None)]
)
def test_cluster(target: str, cluster: str | None) -> None:
    """Istio's name, with the subset."""
    assert as_entry(handled(target=target))["upstream_cluster"] == cluster


def test_the_targets_model_stands_in() -> None:
    """Where the client's did not have to be read; whatever it is, the line can be written."""
    received = Received(AT, "http", "/", 0)

    assert as_entry(handled(received=received))["request_model"] == "qwen-max"
    odd = as_entry(
        handled(received=Received(AT, "http", "/\udcff", 0, model="\ud800" * 300), answer=Answer())
    )
    assert odd["request_model"] == "?" * 200
    json.dumps(odd).encode()
