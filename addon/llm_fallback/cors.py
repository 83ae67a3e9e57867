"""Cross-origin requests as Envoy's CORS filter treats them with the settings that Istio gives it. Pure.

The filter takes no part in redirects and direct responses. Its answer to a preflight request is not
touched by a rule's header operations.
"""

from llm_fallback.config.routes import Cors
from llm_fallback.header_operations import overwrite
from llm_fallback.headers import Headers
from llm_fallback.matching import RequestFacts, string_matches


def preflight(cors: Cors, facts: RequestFacts) -> Headers | None:
    """The headers of the answer (200, no body) to a preflight request; None for a request to be sent on."""
    origin, method = facts.header("origin"), facts.header("access-control-request-method")
    if facts.method != "OPTIONS" or not origin or not method:
        return None
    is_allowed = _is_allowed(cors, origin)
    if not is_allowed and cors.forward_unmatched_preflights:
        return None
    asked = facts.header("access-control-request-headers") or ""
    headers = [
        ("access-control-allow-origin", origin if is_allowed else ""),
        ("access-control-allow-credentials", "true" if cors.credentials else ""),
        ("access-control-allow-methods", _list(cors.methods, instead_of_any=method)),
        ("access-control-allow-headers", _list(cors.headers, instead_of_any=asked)),
        ("access-control-max-age", "" if cors.max_age_s is None else str(cors.max_age_s)),
    ]
    answer = tuple((name, value) for name, value in headers if value)
    return response_headers(cors, facts, answer)  # the filter sees its own answer pass


def response_headers(cors: Cors, facts: RequestFacts, headers: Headers) -> Headers:
    """The headers of any other answer, with what lets the origin read it; unchanged for one that may not."""
    origin = facts.header("origin")
    if not origin or not _is_allowed(cors, origin):
        return headers
    granted = [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true" if cors.credentials else ""),
        ("access-control-expose-headers", ",".join(cors.expose)),
    ]
    return overwrite(headers, [(name, value) for name, value in granted if value])


def _is_allowed(cors: Cors, origin: str) -> bool:
    # Envoy asks each matcher about "*" too, so that a pattern that matches it allows every origin.
    return any(string_matches(allowed, "*") or string_matches(allowed, origin) for allowed in cors.origins)


def _list(names: tuple[str, ...], *, instead_of_any: str) -> str:
    listed = ",".join(names)
    return instead_of_any if listed == "*" else listed
