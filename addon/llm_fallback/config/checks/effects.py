"""What a rule says and what never happens."""

from collections.abc import Iterator
from typing import Any

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources.httpactions import Fault, HTTPFaultInjection
from llm_fallback.resources.httpheaders import Headers
from llm_fallback.resources.virtualservice import HTTPRoute

_FRAMING = frozenset(
    {
        "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip


def tries_can_time_out(configuration: Configuration) -> Iterator[Finding]:
    """`timeout` spans all tries, so one that is shorter than `perTryTimeout` ends the first of them."""
    for written, path, rule in _rules(configuration):
        per_try = rule.retries.per_try_timeout if rule.retries else None
        if rule.timeout is not None and per_try is not None and rule.timeout < per_try:
            yield written.finding(
                (*path, "retries", "perTryTimeout"),
                "has no effect: timeout, which spans all tries, is shorter and ends the request",
                "write a shorter perTryTimeout, or a longer timeout",
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def faults_happen(configuration: Configuration) -> Iterator[Finding]:
    """Without a percentage, a fault is for no request (Envoy's default, not 100)."""
    for written, path, rule in _rules(configuration):
        for name, fault, what in _faults(rule.fault):
            if fault.percentage is None or "value" not in fault.percentage.model_fields_set:
                problem, hint = "never happens: it has no percentage", "add percentage: {value: 100}"
            elif not fault.share:
                yield _is_off(written, (*path, "fault", name, "percentage"), "never happens: it is for 0%")
                continue
            elif what is not None:
                problem, hint = f"never happens: it has no {what}", f"add {what}"
            else:
                continue
            yield written.finding((*path, "fault", name), problem, hint, Code.NO_EFFECT, Severity.WARNING)


def mirrors_get_copies(configuration: Configuration) -> Iterator[Finding]:
    """A mirror with 0 percent is one that was turned off."""
    for written, path, rule in _rules(configuration):
        if rule.mirror and not rule.mirror_share:
            yield _is_off(written, (*path, "mirror"), "gets no copies: it is for 0%")
        for index, mirror in enumerate(rule.mirrors):
            if not mirror.share:
                yield _is_off(written, (*path, "mirrors", index), "gets no copies: it is for 0%")


def framing_is_left_alone(configuration: Configuration) -> Iterator[Finding]:
    """How a message is framed, and what is for one connection only, is the proxy's to say."""
    for written, path, rule in _rules(configuration):
        places = [((*path, "headers"), rule.headers)]
        places += [((*path, "route", j, "headers"), entry.headers) for j, entry in enumerate(rule.route)]
        for place, headers in places:
            for field in _framing(headers):
                problem = "has no effect: the proxy itself says how a message is framed"
                yield written.finding(
                    (*place, *field), problem, "remove it", Code.NO_EFFECT, Severity.WARNING
                )


def _framing(headers: Headers) -> Iterator[Path]:
    for side, operations in (("request", headers.request), ("response", headers.response)):
        for what, names in (("set", operations.set), ("add", operations.add)):
            yield from ((side, what, name) for name in names if name.lower() in _FRAMING)
        for index, name in enumerate(operations.remove):
            if name.lower() in _FRAMING:
                yield side, "remove", index


def _is_off(written: Written[Any], path: Path, problem: str) -> Finding:
    return written.finding(path, problem, "", Code.NO_EFFECT, Severity.INFO)


def _faults(fault: HTTPFaultInjection | None) -> Iterator[tuple[str, Fault, str | None]]:
    """Each fault by its name, and the field without which it is none."""
    if fault and fault.delay:
        yield "delay", fault.delay, None if fault.delay.fixed_delay else "fixedDelay"
    if fault and fault.abort:
        yield "abort", fault.abort, None if fault.abort.http_status else "httpStatus"


def _rules(configuration: Configuration) -> Iterator[tuple[Written[Any], Path, HTTPRoute]]:
    for written in configuration.virtual_services:
        for index, rule in enumerate(written.resource.spec.http):
            yield written, ("spec", "http", index), rule
