"""Who is healthy, and whom a request goes to: the target of a route, then an endpoint of the target. Pure."""

from collections.abc import Callable, Collection, Sequence

from llm_fallback.config.snapshot import Target
from llm_fallback.outlier import Endpoint

_MAX_PICKS = 6  # Istio: host_selection_retry_max_attempts 5, after the first pick

type IsEjected = Callable[[Endpoint], bool]
type HasHealthyEndpoint = Callable[[Target], bool]
type Pick = Callable[[Sequence[Endpoint]], Endpoint]


def choose_target(target: Target, fallback: Target | None, is_healthy: HasHealthyEndpoint) -> Target:
    """The fallback while the target has no healthy endpoint and the fallback has one, else the target.

    Decided once per request, as ASM does: retries stay with the target, and two unhealthy ones end in the
    target's `no healthy upstream`. Panic plays no part in it.
    """
    if fallback is None or is_healthy(target) or not is_healthy(fallback):
        return target
    return fallback


def choose_endpoint(
    endpoints: Sequence[Endpoint],
    is_ejected: IsEjected,
    pick: Pick,
    *,
    panic_threshold: int,
    avoid: Collection[Endpoint],
) -> Endpoint | None:
    """An endpoint for the next attempt, if possible none of those to avoid; None if nobody is healthy.

    `pick` balances the load. With less than `panic_threshold` percent healthy, the ejected ones take part
    again (Envoy's panic mode).
    """
    candidates = [endpoint for endpoint in endpoints if not is_ejected(endpoint)]
    if 100 * len(candidates) < panic_threshold * len(endpoints):
        candidates = list(endpoints)
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    picked = pick(candidates)
    for _ in range(_MAX_PICKS - 1):
        if picked not in avoid:
            break
        picked = pick(candidates)
    return picked
