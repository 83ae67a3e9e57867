"""What a flow still tells of its request and of its failure, also one that was saved somewhere else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mitmproxy import http

from llm_fallback.addresses import DEFAULT_PORTS
from llm_fallback.events import PER_TRY_TIMEOUT
from llm_fallback.headers import Headers
from llm_fallback.json_members import set_members
from llm_fallback.local_replies import Flag
from llm_fallback.messages import ATTEMPT_COUNT, EXPECTED_TIMEOUT, OriginalRequest
from llm_fallback.mitm import attempt_flows, carriage, flows
from llm_fallback.overrides import BadActionError, Fault, FaultKind
from llm_fallback.retry import Failure

_KIND_OF = {
    Failure.CONNECT_FAILURE: FaultKind.CONNECT_FAILURE,
    Failure.CONNECT_TIMEOUT: FaultKind.CONNECT_FAILURE,
    Failure.TIMEOUT_CONNECTING: FaultKind.CONNECT_FAILURE,
    Failure.RESET: FaultKind.RESET,
    Failure.PROTOCOL_ERROR: FaultKind.RESET,
    Failure.TIMEOUT: FaultKind.HANG,
    PER_TRY_TIMEOUT: FaultKind.HANG,
}
_SENT_BY_US = frozenset({ATTEMPT_COUNT, EXPECTED_TIMEOUT, "content-length"})


def request_of(flow: http.HTTPFlow) -> OriginalRequest:
    """The request as its client sent it, as far as the flow tells: credentials are left out.

    A managed flow shows what was sent in its place; its metadata know what was asked for.
    """
    request = flow.request
    headers = tuple((flows.decode(n), flows.decode(v)) for n, v in request.data.headers.fields)
    body = request.raw_content or b""
    decision = flow.metadata.get(carriage.METADATA)
    if not isinstance(decision, Mapping):
        return OriginalRequest(
            request.method, request.host, request.port, request.path, headers, body, request.scheme
        )
    host = str(decision.get("host") or request.host)
    scheme = str(decision.get("scheme") or "http")
    kept = tuple((n, v) for n, v in headers if n.lower() not in {*_SENT_BY_US, "host"})
    return OriginalRequest(
        str(decision.get("method") or request.method),
        host,
        DEFAULT_PORTS.get(scheme, 80),
        str(decision.get("path") or request.path),
        (("Host", host), *kept),
        _with_model(body, decision.get("request_model")),
        scheme,
    )


def story_of(flow: http.HTTPFlow) -> list[str]:
    """What its metadata tell of what has happened; nothing if the flow was not managed."""
    decision = flow.metadata.get(carriage.METADATA)
    if not isinstance(decision, Mapping):
        return []
    flags = ",".join(map(str, decision.get("flags") or ()))
    answer = decision.get("status") or "no answer"
    lines = [f"Then: {decision.get('result')}, {answer}{f' {flags}' if flags else ''}", f"  {flow.comment}"]
    if source := decision.get("source"):
        lines.append(f"  by {source}")
    return lines


def fault_data(flow: http.HTTPFlow, lost: Iterable[http.HTTPFlow] = ()) -> dict[str, Any]:
    """The failure that the flow shows, as data with which it can be injected; `place` is whose it was.

    `lost` are the flows of its failed attempts, which have what came back. Raises BadActionError if the flow
    shows none, or one of the proxy's own.
    """
    try:
        return _fault_data(flow, lost)
    except BadActionError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError):  # it comes from a file, which may hold anything
        raise BadActionError("what this flow tells of its attempts cannot be read") from None


def _fault_data(flow: http.HTTPFlow, lost: Iterable[http.HTTPFlow]) -> dict[str, Any]:
    attempt = flow.metadata.get(attempt_flows.METADATA)
    if isinstance(attempt, Mapping):
        return _data(attempt, _lost(flow, attempt))
    decision = flow.metadata.get(carriage.METADATA)
    if not isinstance(decision, Mapping):
        raise BadActionError("this flow is not managed, and shows no failure of a provider")
    made: Sequence[Mapping[str, Any]] = [
        each for each in decision.get("attempts", ()) if each.get("endpoint")
    ]
    if not made:
        raise BadActionError("no provider was asked for this flow, so none has failed")
    if (fault := _answered(flow, decision, made[-1])) is not None:
        return _data(made[-1], fault)
    for each in made:
        if each.get("failure") or (each.get("status") or 0) >= 400:
            shown = next((one for one in lost if _shows(one, each)), None)
            return _data(each, _lost(shown, each) if shown else _without_answer(each))
    raise BadActionError("nothing failed in this flow")


def _shows(lost: http.HTTPFlow, attempt: Mapping[str, Any]) -> bool:
    """Whether it is the flow of this attempt."""
    told = lost.metadata[attempt_flows.METADATA]
    return all(told.get(name) == attempt.get(name) for name in ("target", "endpoint", "began_s"))


def _data(attempt: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
    return {"place": attempt["target"], **fault.as_data()}


def _answered(flow: http.HTTPFlow, decision: Mapping[str, Any], attempt: Mapping[str, Any]) -> Fault | None:
    """The failure that was passed on to the client; None if it was none, or not a provider's."""
    response, status = flow.response, attempt.get("status")
    if response is None or status is None or status != decision.get("status"):
        return None
    is_cut = not {Flag.UPSTREAM_CONNECTION_TERMINATION, Flag.UPSTREAM_REQUEST_TIMEOUT}.isdisjoint(
        decision.get("flags", ())
    )
    if status < 400 and not is_cut:
        return None
    kind = FaultKind.CUT if is_cut else FaultKind.STATUS
    return Fault(
        kind, status, _headers(response), response.raw_content or b"", delay_s=attempt.get("duration_s", 0.0)
    )


def _lost(flow: http.HTTPFlow, attempt: Mapping[str, Any]) -> Fault:
    """What an attempt has met, whose flow shows its answer if there was one."""
    response, status = flow.response, attempt.get("status")
    if response is None or status is None:
        return _without_answer(attempt)
    body = response.raw_content or b""
    is_whole = status >= 400 or response.headers.get("content-length") == str(len(body))
    kind = FaultKind.STATUS if is_whole else FaultKind.CUT
    return Fault(kind, status, _headers(response), body, delay_s=attempt.get("duration_s", 0.0))


def _without_answer(attempt: Mapping[str, Any]) -> Fault:
    """What is known of an attempt by its metadata alone."""
    delay_s = attempt.get("duration_s", 0.0)
    if status := attempt.get("status"):
        return Fault(FaultKind.STATUS, status, delay_s=delay_s)
    kind = _KIND_OF.get(attempt.get("failure") or "")
    if kind is None:
        raise BadActionError(f"this attempt was not lost to its provider: {attempt.get('result')}")
    return Fault(kind, delay_s=0.0 if kind is FaultKind.HANG else delay_s)


def _headers(response: http.Response) -> Headers:
    return tuple((flows.decode(n), flows.decode(v)) for n, v in response.data.headers.fields)


def _with_model(body: bytes, model: object) -> bytes:
    """The body with the model that the client asked for."""
    if not isinstance(model, str):
        return body
    return set_members(body, always={"model": model}) or body
