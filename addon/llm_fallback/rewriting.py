"""What an attempt sends: the client's original request, made into one for the chosen target. Pure.

Every attempt starts from the original, never from the attempt before. Where a provider takes part, the
client's credentials go to the host that the client addressed and nowhere else; the provider's key is added
below the flow, by `upstream`, and is only referred to here.
"""

from dataclasses import dataclass, replace

from llm_fallback import header_operations, paths
from llm_fallback.bodies import Bodies
from llm_fallback.config.routes import (
    NO_OPERATIONS,
    HeaderOperations,
    Match,
    Rewrite,
    Route,
    RouteDestination,
)
from llm_fallback.config.snapshot import Provider, ProviderConfig, Target
from llm_fallback.headers import Headers
from llm_fallback.messages import (
    ATTEMPT_COUNT,
    EXPECTED_TIMEOUT,
    HOP_BY_HOP,
    OriginalRequest,
    Outgoing,
    end_to_end,
)
from llm_fallback.redaction import drop_query_credentials, is_credential
from llm_fallback.resources.base import Expanded

_OUR_OWN = frozenset({"content-length", "expect", "host"})  # between us and the target, not the client
_ENVOYS_OWN = frozenset(
    {
        ATTEMPT_COUNT,
        EXPECTED_TIMEOUT,
        "x-envoy-force-trace",
        "x-envoy-hedge-on-per-try-timeout",
        "x-envoy-internal",
        "x-envoy-ip-tags",
        "x-envoy-max-retries",
        "x-envoy-original-url",
        "x-envoy-retriable-header-names",
        "x-envoy-retriable-status-codes",
        "x-envoy-retry-grpc-on",
        "x-envoy-retry-on",
        "x-envoy-upstream-alt-stat-name",
        "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-upstream-rq-timeout-alt-response",
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-upstream-stream-duration-ms",
    }
)  # a sidecar writes the first anew and takes the others away: to Envoy, its clients are outsiders (measured)
_ORIGINAL_PATH, _ORIGINAL_HOST = "x-envoy-original-path", "x-envoy-original-host"
_OF_ONE_PROVIDER = frozenset(
    {
        "anthropic-organization-id",
        "idempotency-key",
        "openai-organization",
        "openai-project",
        "request-id",
        "x-client-request-id",
        "x-dashscope-workspace",
        "x-goog-user-project",
        "x-idempotency-key",
        "x-ms-client-request-id",
        "x-request-id",
    }
)  # accounts and requests of the client's, as the provider knows them that it asked for
_NOT_THE_RULES = HOP_BY_HOP | _OUR_OWN  # how the request is framed is not for header operations to say


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What the rule of a request says about how it is sent.

    `match` is the one that held, for the prefix that it names. `is_weighted`: there are several destinations.
    `fell_back`: the target is another than the one that was chosen. `is_rescue`: a policy sends the request
    there, `is_pinned`: a person does, and nothing goes along that is only the chosen one's. Operations may
    write credentials.
    """

    rewrite: Rewrite | None = None
    match: Match | None = None
    operations: HeaderOperations = NO_OPERATIONS
    destination: RouteDestination | None = None
    is_weighted: bool = False
    llm_rule: str | None = None
    fell_back: bool = False
    is_rescue: bool = False
    is_pinned: bool = False

    @classmethod
    def of(
        cls,
        route: Route,
        match: Match | None,
        destination: RouteDestination,
        *,
        fell_back: bool,
        is_rescue: bool = False,
        is_pinned: bool = False,
    ) -> "Plan":
        """The plan for a rule, the match that held and the destination that was chosen."""
        return cls(
            rewrite=route.rewrite,
            match=match,
            operations=route.headers.request,
            destination=destination,
            is_weighted=route.is_weighted,
            llm_rule=route.llm_rule,
            fell_back=fell_back,
            is_rescue=is_rescue,
            is_pinned=is_pinned,
        )


NO_PLAN = Plan()


def rewrite(
    request: OriginalRequest,
    target: Target,
    addressed: Provider | None,
    plan: Plan = NO_PLAN,
    *,
    bodies: Bodies | None = None,
) -> Outgoing:
    """The request for a target; `addressed` is the provider of the host that the client called, if any.

    `bodies` are the request's own, for who rewrites it more than once.
    """
    provider = target.provider
    config = provider.config(plan.llm_rule) if provider else ProviderConfig()
    is_own_host = target.host == request.host.lower()
    is_trusted = is_own_host or not (addressed or provider or plan.fell_back)  # or else as the mesh routes it
    path = original = request.path if is_trusted else drop_query_credentials(request.path)
    if plan.rewrite:
        path = paths.rewritten(path, plan.rewrite, plan.match)
    if provider:
        path = paths.for_provider(path, provider, addressed)
    headers = _headers(request.headers, with_credentials=is_trusted)
    if _is_foreign(plan, target) and not is_own_host:
        headers = tuple(field for field in headers if field[0].lower() not in _OF_ONE_PROVIDER)
    headers = _operated(headers, plan, target)
    if config.api_key:
        headers = tuple(field for field in headers if field[0].lower() != "authorization")
    body, model = request.body, None
    if provider and paths.is_chat(path, provider):
        model = config.model
        if edited := (bodies or Bodies(request)).edited(config):
            headers = tuple(field for field in headers if field[0].lower() != "content-encoding")
            body = edited
    authority = _authority(request, target, plan)
    if plan.rewrite and plan.rewrite.uri:  # told even where it changes nothing, as by Envoy
        headers = (*headers, (_ORIGINAL_PATH, original))
    if authority != request.authority and authority == _explicit_authority(plan):
        headers = (*headers, (_ORIGINAL_HOST, request.authority))
    if plan.rewrite and isinstance(plan.rewrite.uri, Expanded):
        path = Expanded(path)
    headers = (("Host", authority), *headers)
    outgoing = Outgoing(request.method, path, headers, body, config.api_key, model)
    # A policy looks into answers, which it can do if they come as they are.
    return outgoing.with_header("accept-encoding", "identity") if plan.is_rescue else outgoing


def _authority(request: OriginalRequest, target: Target, plan: Plan) -> str:
    """The Host header: the rule's, else a provider's own host, else the client's as it is, like Envoy.

    What a rule says of the host that it names does not hold for another provider that is its fallback.
    """
    if target.provider and plan.fell_back:
        return target.host
    if explicit := _explicit_authority(plan):
        return explicit
    if target.provider:
        return target.host
    return request.authority


def _explicit_authority(plan: Plan) -> str | None:
    """Istio's order: the rule's rewrite, the rule's headers, and only then what the destination says."""
    written = (plan.rewrite.authority if plan.rewrite else None) or header_operations.authority(
        plan.operations
    )
    if written or plan.destination is None:
        return written
    destination = plan.destination
    return destination.authority or header_operations.authority(destination.headers.request)


def _headers(headers: Headers, *, with_credentials: bool) -> Headers:
    def stays(name: str) -> bool:
        lowered = name.lower()
        if lowered in _OUR_OWN or lowered in _ENVOYS_OWN:
            return False
        return with_credentials or not is_credential(name)

    kept = tuple((name, value) for name, value in end_to_end(headers) if stays(name))
    if not with_credentials:  # nor a URL with a key in its query, as in Referer
        kept = tuple((name, drop_query_credentials(value)) for name, value in kept)
    # Envoy tells upstreams, as the one thing between hops, that trailers may come.
    takes_trailers = any(n.lower() == "te" and v.strip().lower() == "trailers" for n, v in headers)
    return (*kept, ("te", "trailers")) if takes_trailers else kept


def _operated(headers: Headers, plan: Plan, target: Target) -> Headers:
    """The headers after the rule's operations and the destination's."""
    of_rule = _without_credentials(plan.operations) if _is_foreign(plan, target) else plan.operations
    of_destination = _for_target(plan, target)
    if of_rule == of_destination == NO_OPERATIONS:
        return headers
    for operations in header_operations.in_order(of_rule, of_destination, is_weighted=plan.is_weighted):
        headers = header_operations.apply(operations, headers)
    return tuple(field for field in headers if field[0].lower() not in _NOT_THE_RULES)


def _for_target(plan: Plan, target: Target) -> HeaderOperations:
    """The destination's operations; a credential that it writes does not go to another host, its fallback."""
    if plan.destination is None:
        return NO_OPERATIONS
    operations = plan.destination.headers.request
    if not plan.fell_back or target.host == plan.destination.destination.host:
        return operations
    return _without_credentials(operations)


def _is_foreign(plan: Plan, target: Target) -> bool:
    """Whether a policy or a person sends the request to another host than the rule does."""
    chosen = plan.destination.destination.host if plan.destination else None
    return (plan.is_rescue or plan.is_pinned) and plan.fell_back and target.host != chosen


def _without_credentials(operations: HeaderOperations) -> HeaderOperations:
    return replace(operations, set=_harmless(operations.set), add=_harmless(operations.add))


def _harmless(headers: Headers) -> Headers:
    return tuple(field for field in headers if not is_credential(field[0]))
