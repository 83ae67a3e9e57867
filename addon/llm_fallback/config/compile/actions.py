"""From what a rule does to requests, as written, to what the decisions need."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from llm_fallback.config.compile.conditions import pattern, string_match
from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import (
    NO_HEADERS,
    Action,
    Cors,
    DirectResponse,
    Fault,
    HeaderOperations,
    Headers,
    MatchType,
    Mirror,
    Redirect,
    Retries,
    Rewrite,
    RouteDestination,
    StringMatch,
)
from llm_fallback.resources import virtualservice as written
from llm_fallback.resources.httpactions import (
    CorsPolicy,
    DerivePort,
    HTTPDirectResponse,
    HTTPFaultInjection,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    UnmatchedPreflights,
)
from llm_fallback.resources.httpheaders import HeaderOperations as WrittenOperations
from llm_fallback.resources.httpheaders import Headers as WrittenHeaders


def action(rule: written.HTTPRoute) -> Action:
    """Where the requests of a rule go, or what answers them."""
    if rule.redirect is not None:
        return _redirect(rule.redirect)
    if rule.direct_response is not None:
        return _direct_response(rule.direct_response)
    return tuple(
        RouteDestination(
            destination(entry.destination),
            entry.weight or 1,
            destination(entry.fallback.target) if entry.fallback else None,
            headers(entry.headers),
        )
        for entry in rule.route
        if entry.weight or len(rule.route) == 1  # a single one gets everything, whatever its weight
    )


def destination(given: written.Destination) -> Destination:
    """A host, and its port and subset if they are named."""
    return Destination(given.host, given.port.number if given.port else None, given.subset or None)


def headers(given: WrittenHeaders) -> Headers:
    """Header operations of a rule or a destination."""
    found = Headers(_operations(given.request), _operations(given.response))
    return NO_HEADERS if found == NO_HEADERS else found


def rewrite(given: HTTPRewrite | None) -> Rewrite | None:
    """How path and authority change."""
    if given is None:
        return None
    if given.uri_regex_rewrite is not None:
        regex = given.uri_regex_rewrite
        return Rewrite(regex.rewrite, pattern(regex.match), given.authority or None)
    return Rewrite(given.uri or None, None, given.authority or None)


def retries(given: HTTPRetry | None, defaults: Retries) -> Retries:
    """The retry policy of a rule; the defaults where it says nothing."""
    if given is None:
        return defaults
    avoid = given.retry_ignore_previous_hosts
    per_try = None if given.per_try_timeout is None else given.per_try_timeout / 1000
    words = given.retry_on.split(",") if given.retry_on else []
    codes = frozenset(int(word) for word in words if word.isdigit())
    retry_on = frozenset(word for word in words if not word.isdigit())
    return Retries(
        given.attempts,
        retry_on if words else defaults.retry_on,
        codes,
        per_try,
        defaults.backoff_s if given.backoff is None else given.backoff / 1000,
        defaults.avoid_tried if avoid is None else avoid,
    )


def fault(given: HTTPFaultInjection | None) -> Fault | None:
    """The faults of a rule; without a percentage they never happen."""
    if given is None:
        return None
    found = Fault()
    delay, abort = given.delay, given.abort
    if delay and delay.percentage and delay.fixed_delay:
        found = replace(found, delay_percent=delay.percentage.value, delay_s=delay.fixed_delay / 1000)
    if abort and abort.percentage and abort.http_status:
        found = replace(found, abort_percent=abort.percentage.value, abort_status=abort.http_status)
    return found


def mirrors(rule: written.HTTPRoute) -> tuple[Mirror, ...]:
    """Where copies of the requests go."""
    found = [Mirror(destination(entry.destination), entry.share) for entry in rule.mirrors]
    if rule.mirror is not None:
        found.append(Mirror(destination(rule.mirror), rule.mirror_share))
    return tuple(mirror for mirror in found if mirror.percent)


def cors(given: CorsPolicy | None) -> Cors | None:
    """Which origins may read the answers."""
    if given is None:
        return None
    origins = [string_match(origin) for origin in given.allow_origins]
    deprecated = [StringMatch(MatchType.EXACT, origin) for origin in given.allow_origin]
    return Cors(
        (*(origin for origin in origins if origin), *deprecated),
        tuple(given.allow_methods),
        tuple(given.allow_headers),
        tuple(given.expose_headers),
        None if given.max_age is None else given.max_age // 1000,
        given.allow_credentials,
        given.unmatched_preflights is not UnmatchedPreflights.IGNORE,
    )


def _operations(given: WrittenOperations) -> HeaderOperations:
    return HeaderOperations(_sorted(given.set), _sorted(given.add), tuple(given.remove))


def _sorted(fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(fields.items()))


def _redirect(given: HTTPRedirect) -> Redirect:
    return Redirect(
        code=given.redirect_code or HTTPStatus.MOVED_PERMANENTLY,
        scheme=given.scheme or None,
        authority=given.authority or None,
        port=given.port,
        from_request_port=given.derive_port is DerivePort.FROM_REQUEST_PORT,
        uri=given.uri or None,
    )


def _direct_response(given: HTTPDirectResponse) -> DirectResponse:
    if given.body is None:
        return DirectResponse(given.status)
    return DirectResponse(given.status, given.body.content, is_secret=given.body.is_secret)
