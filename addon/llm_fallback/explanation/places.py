"""Targets as they stand: their endpoints, who of them is in rotation, and their settings. Pure."""

from collections.abc import Callable, Sequence

from llm_fallback.config.snapshot import Target
from llm_fallback.explanation import model
from llm_fallback.outlier import Endpoint
from llm_fallback.selection import choose_endpoint

type IsEjected = Callable[[Target, Endpoint], bool]


def is_healthy(target: Target, is_ejected: IsEjected) -> bool:
    """Whether at least one of the target's endpoints is in rotation."""
    return any(not is_ejected(target, endpoint) for endpoint in target.endpoints)


def candidates(target: Target, is_ejected: IsEjected) -> tuple[Endpoint, ...]:
    """The endpoints that load balancing has to choose from, for a first attempt."""
    offered: list[Endpoint] = []

    def pick(endpoints: Sequence[Endpoint]) -> Endpoint:
        offered.extend(endpoints)
        return endpoints[0]

    only = choose_endpoint(
        target.endpoints,
        lambda endpoint: is_ejected(target, endpoint),
        pick,
        panic_threshold=target.panic_threshold,
        avoid=(),
    )
    return tuple(offered) or ((only,) if only else ())


def place(target: Target, is_ejected: IsEjected) -> model.Place:
    """A target, without its provider's key."""
    return model.Place(
        name=str(target),
        host=target.host,
        port=target.port,
        subset=target.subset,
        resources=target.sources,
        endpoints=tuple(
            model.EndpointState(str(endpoint), is_ejected(target, endpoint)) for endpoint in target.endpoints
        ),
        per_address=target.per_address,
        is_healthy=is_healthy(target, is_ejected),
        tls=target.tls,
        ejects=target.outlier,
        panic_threshold=target.panic_threshold,
        balancing=target.balancing,
        limits=target.pool,
    )
