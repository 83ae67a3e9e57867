"""Explanations of small configurations, for tests."""

from llm_fallback.config.destination import Destination
from llm_fallback.config.routes import Route, RouteDestination, VirtualHost
from llm_fallback.config.snapshot import Service, Snapshot, Target, TargetKey
from llm_fallback.explanation import Explanation, explain
from llm_fallback.explanation.model import Destination as Told
from llm_fallback.messages import OriginalRequest
from llm_fallback.outlier import Endpoint, OutlierPolicy

A, B = Destination("a.com"), Destination("b.com")
GONE = Destination("gone.com", 81, "v9")
TO_A = RouteDestination(A)
OTHERWISE_B = RouteDestination(A, fallback=B)


def target(host: str, count: int = 1, **more: object) -> Target:
    """Plain text, to `host-0:80` and so on, with a detector."""
    endpoints = tuple(Endpoint(f"{host}-{number}", 80) for number in range(count))
    return Target(host, 80, endpoints, **({"outlier": OutlierPolicy()} | more))  # type: ignore[arg-type]


def snapshot(*routes: Route, targets: tuple[Target, ...] = (target("a.com"), target("b.com"))) -> Snapshot:
    services = {each.host: Service(each.host, {(80, None): each}) for each in targets}
    return Snapshot(services, {"a.com": VirtualHost("VirtualService/vs", routes)})


def to(*destinations: RouteDestination, **more: object) -> Route:
    return Route("all", "f.yaml:1 VirtualService/vs", destinations, **more)  # type: ignore[arg-type]


def asking(
    path: str = "/", *headers: tuple[str, str], method: str = "POST", body: bytes = b""
) -> OriginalRequest:
    return OriginalRequest(method, "a.com", 80, path, headers, body)


def told(
    given: Snapshot,
    request: OriginalRequest | None = None,
    *,
    ejected: str = "",
    pinned: TargetKey | None = None,
) -> Explanation:
    """With the endpoints in a text of names ejected."""
    out = ejected.split()
    return explain(
        given, request or asking(), is_ejected=lambda _, endpoint: endpoint.address in out, pinned=pinned
    )


def only(explanation: Explanation) -> Told:
    assert explanation.answer is None
    (destination,) = explanation.destinations
    return destination
