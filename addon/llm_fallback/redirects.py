"""Answers that a rule gives itself: redirects, and fixed ones. Pure."""

from llm_fallback.config.routes import DirectResponse, Match, Redirect
from llm_fallback.local_replies import LocalReply
from llm_fallback.matching import RequestFacts
from llm_fallback.paths import matched_part

_DEFAULT_PORTS = {"http": 80, "https": 443}


def reply(action: Redirect | DirectResponse, facts: RequestFacts, matched: Match | None) -> LocalReply:
    """The answer of a rule that has no destinations."""
    if isinstance(action, DirectResponse):
        return LocalReply(action.status, action.body.decode("utf-8", "surrogateescape"))
    return LocalReply(action.code, headers=(("location", location(action, facts, matched)),))


def location(redirect: Redirect, facts: RequestFacts, matched: Match | None) -> str:
    """The URL that Envoy sends the client to; the query stays unless the redirect's own `uri` brings one."""
    scheme = redirect.scheme or facts.scheme
    port = _port(facts.port if redirect.from_request_port else redirect.port, scheme)
    authority = redirect.authority or _own_authority(facts, scheme, replaces_port=bool(port))
    path = _path(redirect, facts, matched)
    return f"{scheme}://{authority}{port}{path if path.startswith('/') else f'/{path}'}"


def _port(port: int | None, scheme: str) -> str:
    """The port as it is appended to the authority; one that the scheme implies is not."""
    return "" if not port or port == _DEFAULT_PORTS.get(scheme) else f":{port}"


def _own_authority(facts: RequestFacts, scheme: str, *, replaces_port: bool) -> str:
    """The client's, without its port if that is replaced, or was the default of a scheme that changes."""
    host, colon, port = facts.authority.rpartition(":")
    if not colon or port.endswith("]"):  # an IPv6 address without port has colons too
        return facts.authority
    was_default = scheme != facts.scheme and port == str(_DEFAULT_PORTS.get(facts.scheme))
    return host if replaces_port or was_default else facts.authority


def _path(redirect: Redirect, facts: RequestFacts, matched: Match | None) -> str:
    path = facts.path
    if redirect.prefix:
        path = redirect.prefix + path[len(matched_part(matched, path)) :]
    elif redirect.uri:
        path = redirect.uri
        if "?" in path:
            return path
    return f"{path}?{facts.query}" if facts.query else path
