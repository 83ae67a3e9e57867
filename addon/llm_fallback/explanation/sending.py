"""The request as a target gets it, for people. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from llm_fallback.balancing import Balancer, hash_key, new_cookie
from llm_fallback.config.snapshot import Algorithm, HashPolicy, ProviderConfig, Target
from llm_fallback.explanation import model, redacted
from llm_fallback.explanation.draws import HighestDraw
from llm_fallback.json_members import Value
from llm_fallback.messages import OriginalRequest, Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.redaction import is_credential, name_and_value, query_credentials
from llm_fallback.rewriting import Plan

_HASHING = frozenset({Algorithm.RING_HASH, Algorithm.MAGLEV})


def sent(
    request: OriginalRequest, outgoing: Outgoing, target: Target, endpoints: Sequence[Endpoint], plan: Plan
) -> model.Sent:
    """What one of the endpoints would get; `endpoints` are those that load balancing chooses from."""
    path, shown = outgoing.shown()
    headers = redacted.headers(shown)
    authority = next(value for name, value in headers if name == "Host")
    hashed = _hashed(request, target, endpoints)
    name, config = _config(target, plan)
    return model.Sent(
        method=outgoing.method,
        url=f"{'https' if target.tls else 'http'}://{authority}{path}",
        sni=target.tls.sni if target.tls else None,
        endpoints=tuple(map(str, endpoints if hashed is None else [hashed])),
        is_hashed=hashed is not None,
        config=name,
        has_providers_key=outgoing.api_key is not None,
        headers=headers,
        withheld=_withheld(request, outgoing),
        body=_body(request.body, outgoing.body, config),
    )


def _withheld(request: OriginalRequest, outgoing: Outgoing) -> tuple[str, ...]:
    """The client's credentials that are not sent, but for the one whose place the provider's key takes."""
    sent = {name.lower() for name, _ in outgoing.headers} | ({"authorization"} if outgoing.api_key else set())
    headers = (name for name, _ in request.headers if is_credential(name) and name.lower() not in sent)
    query = {*query_credentials(request.path)} - {*query_credentials(outgoing.path)}
    return tuple(dict.fromkeys((*headers, *(f"?{name_and_value(pair)[0]}" for pair in sorted(query)))))


def _hashed(request: OriginalRequest, target: Target, endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """The endpoint that consistent hashing leads to; None if it is left to chance, or names are resolved."""
    balancing = target.balancing
    if balancing.algorithm not in _HASHING or balancing.hash_policy is None or target.per_address:
        return None
    key = _hash_key(request, balancing.hash_policy)
    if key is None:
        return None
    weights = dict(zip(target.endpoints, target.weights, strict=False))
    return Balancer(balancing).pick(
        endpoints,
        weight=lambda endpoint: weights.get(endpoint, 1),
        active=lambda _: 0,
        hash_key=key,
        now=0.0,
        rng=HighestDraw(),
    )


def _hash_key(request: OriginalRequest, policy: HashPolicy) -> int | None:
    query, address = request.path.partition("?")[2], request.client.rpartition(":")[0]
    key = hash_key(policy, headers=request.headers, query=query, source_ip=address)
    if key is not None or not request.client:
        return key
    cookie = new_cookie(policy, client=request.client, proxy=request.proxy)  # made from the connection
    return cookie.hash_key if cookie else None


def _config(target: Target, plan: Plan) -> tuple[str | None, ProviderConfig]:
    """The configuration of the target's provider that is in force, and where the LLMProvider has it."""
    provider, rule = target.provider, plan.llm_rule
    if provider is None:
        return None, ProviderConfig()
    name = f"routeSpecificConfigs.{rule}" if rule in provider.by_rule else "defaultConfig"
    return name, provider.config(rule)


def _body(before: bytes, after: bytes, config: ProviderConfig) -> model.Body:
    """What became of the body, and of the provider's settings in it."""
    wanted: dict[str, Value] = {"model": config.model, "stream": config.stream}
    settings = {name: value for name, value in wanted.items() if value is not None}
    old, new = _members(before), _members(after)
    written = {n: value for n, value in settings.items() if new.get(n) == value and old.get(n) != value}
    kept = tuple(name for name in settings if name in new and name not in written)
    return model.Body(len(after), written, kept)


def _members(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, parse_int=float)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
