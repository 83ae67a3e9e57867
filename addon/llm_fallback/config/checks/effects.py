"""What a rule says and what never happens."""

from collections.abc import Iterator
from typing import Any

from llm_fallback.config.checks.configuration import Configuration
from llm_fallback.config.compile.conditions import NOT_HEADERS
from llm_fallback.config.documents import Path
from llm_fallback.config.findings import Code, Finding, Severity
from llm_fallback.config.validate import Written
from llm_fallback.resources.httpactions import Fault, HTTPFaultInjection, UnmatchedPreflights
from llm_fallback.resources.httpheaders import Headers, RequestHeaderOperations
from llm_fallback.resources.httpmatch import HTTPMatchRequest
from llm_fallback.resources.llmroute import LLMMatch
from llm_fallback.resources.virtualservice import HTTPRoute

_FRAMING = frozenset(
    {
        "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_SENT_ON = {
    "timeout": "timeout",
    "retries": "retries",
    "mirror": "mirror",
    "mirrors": "mirrors",
    "cors_policy": "corsPolicy",
}
"""Fields of a rule that are for requests which are sent on, beside those that Istio refuses there."""

_HTTP3 = "http3-post-connect-failure"


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


def retries_can_begin(configuration: Configuration) -> Iterator[Finding]:
    """What `retryOn` says replaces the defaults, and the proxy speaks no HTTP/3."""
    for written, path, rule in _rules(configuration):
        if rule.retries and rule.retries.retry_on == _HTTP3:
            yield written.finding(
                (*path, "retries", "retryOn"),
                "nothing is ever tried again: this condition alone is for HTTP/3, which is not spoken here",
                "add another one, such as 5xx",
                Code.NO_EFFECT,
                Severity.WARNING,
            )


def answers_need_no_target(configuration: Configuration) -> Iterator[Finding]:
    """A redirect or direct response is sent at once: nothing is sent on, tried again or copied."""
    for written, path, rule in _rules(configuration):
        if rule.route:
            continue
        answer = "redirect" if rule.redirect else "directResponse"
        fields: list[Path] = [(alias,) for name, alias in _SENT_ON.items() if getattr(rule, name)]
        if rule.headers.request != RequestHeaderOperations():
            fields.append(("headers", "request"))
        for field in fields:
            problem = f"has no effect: {answer} answers, and nothing is sent on"
            yield written.finding((*path, *field), problem, "remove it", Code.NO_EFFECT, Severity.WARNING)


def origins_are_allowed(configuration: Configuration) -> Iterator[Finding]:
    """Without an origin, a `corsPolicy` tells nobody anything, unless it answers preflights of strangers."""
    for written, path, rule in _rules(configuration):
        cors = rule.cors_policy
        if not cors or not rule.route or cors.allow_origins or cors.allow_origin:
            continue
        if cors.unmatched_preflights is not UnmatchedPreflights.IGNORE:
            yield written.finding(
                (*path, "corsPolicy"),
                "has no effect: it allows no origin",
                "add allowOrigins",
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
        for field, given in (
            ("mirrorPercentage", rule.mirror_percentage),
            ("mirrorPercent", rule.mirror_percent),
        ):
            if given is not None and not rule.mirror and rule.route:
                hint = "write percentage in each of mirrors" if rule.mirrors else "add mirror, or remove it"
                problem = "has no effect: it is for mirror, and there is none"
                yield written.finding((*path, field), problem, hint, Code.NO_EFFECT, Severity.WARNING)


def conditions_are_asked(configuration: Configuration) -> Iterator[Finding]:
    """Istio ignores conditions on headers with the names of a match's own fields, and case in some paths."""
    for rules in configuration.routes:
        for path, entry in rules.alternatives():
            for field, problem, hint in _unasked(entry):
                place = (*path, *field)
                yield rules.written.finding(place, problem, hint, Code.NO_EFFECT, Severity.WARNING)


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


def _unasked(entry: HTTPMatchRequest | LLMMatch) -> Iterator[tuple[Path, str, str]]:
    """What of an alternative is not asked, why, and what to write instead."""
    ignored = "has no effect: the mesh ignores a header of this name"
    for name in sorted(NOT_HEADERS & entry.headers.keys()):
        hint = "remove it" if isinstance(entry, LLMMatch) else f"write {name} beside headers"
        yield ("headers", name), ignored, hint
    if isinstance(entry, LLMMatch):
        return
    for name in sorted(NOT_HEADERS & entry.without_headers.keys()):
        yield ("withoutHeaders", name), ignored, "remove it"
    uri = entry.uri
    if entry.ignore_uri_case and (uri is None or (uri.exact is None and uri.prefix is None)):
        hint = "begin the regex with (?i)" if uri and uri.regex else "add uri, or remove it"
        yield ("ignoreUriCase",), "has no effect: it is for exact and prefix of uri", hint


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
