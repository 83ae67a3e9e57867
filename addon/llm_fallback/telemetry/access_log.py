"""The access log: Envoy's fields by Istio's names, and what only an LLM proxy knows. Pure.

Names, types and values are those of Istio's default JSON format as Envoy writes it; what Envoy does not know
comes after them.
"""

from typing import Any

from llm_fallback.events import PER_TRY_TIMEOUT, Handled
from llm_fallback.local_replies import Flag
from llm_fallback.retry import Failure
from llm_fallback.telemetry.facts import cluster_of, request_model
from llm_fallback.wording import moment

_BEFORE = "upstream_reset_before_response_started"
_AFTER = "upstream_reset_after_response_started"
_DETAILS_OF_FLAG = {
    Flag.DOWNSTREAM_CONNECTION_TERMINATION: "downstream_remote_disconnect",
    Flag.LOCAL_RESET: f"{_AFTER}{{local_reset}}",
    Flag.NO_ROUTE_FOUND: "route_not_found",
    Flag.NO_CLUSTER_FOUND: "cluster_not_found",
    Flag.FAULT_INJECTED: "fault_filter_abort",
}
_DETAILS_OF_FAILURE: dict[str | None, str] = {
    Failure.CONNECT_FAILURE: f"{_BEFORE}{{remote_connection_failure}}",
    Failure.CONNECT_TIMEOUT: f"{_BEFORE}{{connection_timeout}}",
    Failure.RESET: f"{_BEFORE}{{connection_termination}}",
    Failure.PROTOCOL_ERROR: f"{_BEFORE}{{protocol_error}}",
    Failure.OVERFLOW: f"{_BEFORE}{{overflow}}",
    Failure.TIMEOUT: "response_timeout",
    Failure.TIMEOUT_CONNECTING: "response_timeout",
    PER_TRY_TIMEOUT: "upstream_per_try_timeout",
}


def as_entry(event: Handled) -> dict[str, Any]:
    """The request's line. Times are in milliseconds; None is what is not known or does not apply."""
    received, answer, rescue = event.received, event.answer, event.rescue
    headers = received.headers if received else {}
    final = event.final_attempt
    lost = [attempt.lost_after_s for attempt in event.attempts if attempt.lost_after_s is not None]
    return {
        "start_time": moment(received.at_s) if received else None,
        "method": event.method,
        "path": received.path if received else None,
        "authority": event.host,
        "response_code": event.status or 0,
        "response_flags": ",".join(event.flags) or "-",
        "response_code_details": _details(event),
        "bytes_received": received.body_bytes if received else 0,
        "bytes_sent": answer.body_bytes,
        "duration": _ms(event.duration_s),
        "upstream_service_time": None if answer.service_time_s is None else str(_ms(answer.service_time_s)),
        "upstream_host": final.endpoint if final else None,
        "upstream_cluster": cluster_of(event.target),
        "route_name": event.route if event.source else None,
        "downstream_remote_address": (received.client if received else "") or None,
        "x_forwarded_for": headers.get("x-forwarded-for"),
        "user_agent": headers.get("user-agent"),
        "request_id": headers.get("x-request-id", event.id or None),
        "request_model": request_model(event),
        "response_model": answer.figures.model,
        "input_tokens": answer.figures.input_tokens,
        "output_tokens": answer.figures.output_tokens,
        "finish_reason": answer.figures.finish_reason,
        "time_to_first_byte": None if answer.first_byte_s is None else _ms(answer.first_byte_s),
        "attempts": len(event.attempts),
        "attempts_lost": len(lost),
        "duration_lost": _ms(sum(lost)),
        "fallback_from": event.instead_of,
        "rescued_from": list(rescue.reasons) if rescue else [],
        "override": event.override,
    }


def _details(event: Handled) -> str | None:
    """Envoy's RESPONSE_CODE_DETAILS, where they follow from the event."""
    for flag, details in _DETAILS_OF_FLAG.items():
        if flag in event.flags:
            return details
    final = event.final_attempt
    if final and final.status is not None and final.lost_after_s is None:
        if Flag.UPSTREAM_REQUEST_TIMEOUT in event.flags:
            return "response_timeout"
        is_cut = Flag.UPSTREAM_CONNECTION_TERMINATION in event.flags
        return f"{_AFTER}{{connection_termination}}" if is_cut else "via_upstream"
    if Flag.NO_HEALTHY_UPSTREAM in event.flags:
        return "no_healthy_upstream"
    return _DETAILS_OF_FAILURE.get(final.failure) if final and final.failure else None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
