"""Answers that a rule gives itself: redirects, and fixed ones. Pure."""

from llm_fallback.addresses import DEFAULT_PORTS
from llm_fallback.config.routes import DirectResponse, Redirect
from llm_fallback.local_replies import LocalReply
from llm_fallback.matching import RequestFacts
from llm_fallback.redaction import drop_query_credentials
from llm_fallback.resources.base import Expanded


def reply(action: Redirect | DirectResponse, facts: RequestFacts) -> LocalReply:
    """The answer of a rule that has no destinations."""
    if isinstance(action, Redirect):
        return LocalReply(action.code, headers=(("location", location(action, facts)),))
    headers: tuple[tuple[str, str], ...] = ()
    if action.status == 201 or 300 <= action.status < 400:  # Envoy names the URL that was asked for
        headers = (("location", location(Redirect(), facts)),)
    body = action.body.decode("utf-8", "surrogateescape")
    return LocalReply(action.status, Expanded(body) if action.is_secret else body, headers=headers)


def location(redirect: Redirect, facts: RequestFacts) -> str:
    """The URL that Envoy sends the client to; the query stays unless the redirect's own `uri` brings one."""
    scheme = redirect.scheme or facts.scheme
    port = _port(facts.port if redirect.from_request_port else redirect.port, scheme)
    authority = redirect.authority or _own_authority(facts, scheme, replaces_port=bool(port))
    path = _path(redirect, facts)
    return f"{scheme}://{authority}{port}{path if path.startswith('/') else f'/{path}'}"


def _port(port: int | None, scheme: str) -> str:
    """The port as it is appended to the authority; one that the scheme implies is not."""
    return "" if not port or port == DEFAULT_PORTS.get(scheme) else f":{port}"


def _own_authority(facts: RequestFacts, scheme: str, *, replaces_port: bool) -> str:
    """The client's, without its port if that is replaced, or was the default of a scheme that changes."""
    host, colon, port = facts.authority.rpartition(":")
    if not colon or port.endswith("]"):  # an IPv6 address without port has colons too
        return facts.authority
    was_default = scheme != facts.scheme and port == str(DEFAULT_PORTS.get(facts.scheme))
    return host if replaces_port or was_default else facts.authority


def _path(redirect: Redirect, facts: RequestFacts) -> str:
    path = redirect.uri or facts.path
    if "?" in path or not facts.query:
        return path
    # A key in the query stays behind: it would reach another host, and be seen in the answer.
    return drop_query_credentials(f"{path}?{facts.query}")
