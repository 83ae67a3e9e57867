"""The ejection log: what Envoy writes to its outlier event log (envoy.data.cluster.v3.OutlierDetectionEvent).

Envoy knows ejections by its own detection only. One by hand, and one that the provider has asked for
(`Retry-After`), are written as ejections by an extension, which is what that type is for.
"""

from typing import Any

from llm_fallback.events import Ejected, Returned
from llm_fallback.outlier import Reason
from llm_fallback.status import cluster_name
from llm_fallback.wording import moment

_TYPES: dict[str, str] = {
    Reason.CONSECUTIVE_5XX: "CONSECUTIVE_5XX",
    Reason.CONSECUTIVE_GATEWAY: "CONSECUTIVE_GATEWAY_FAILURE",
    Reason.CONSECUTIVE_LOCAL_ORIGIN: "CONSECUTIVE_LOCAL_ORIGIN_FAILURE",
}
_MAX_REMEMBERED = 10_000  # addresses may change for ever

type _Endpoint = tuple[str, str]  # the cluster's name, and the address


class EjectionLog:
    """Makes the entries; it remembers how often each endpoint was ejected, and its last entry's time."""

    def __init__(self) -> None:
        self._last: dict[_Endpoint, tuple[int, float | None]] = {}

    def entry(self, event: Ejected | Returned, *, at_s: float) -> dict[str, Any] | None:
        """The event's line; `at_s` is in seconds since 1970.

        None for an endpoint that is gone: Envoy writes nothing of it, and counts one that has its address
        later from the beginning.
        """
        cluster = cluster_name(event.key)
        if isinstance(event, Returned) and event.is_gone:
            self._last.pop((cluster, event.endpoint), None)
            return None
        count, last_at = self._last.pop((cluster, event.endpoint), (0, None))
        is_ejection = isinstance(event, Ejected)
        count += is_ejection
        self._last[cluster, event.endpoint] = count, at_s
        if len(self._last) > _MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        return {
            "type": _TYPES.get(event.reason, "EXTENSION")
            if isinstance(event, Ejected)
            else "CONSECUTIVE_5XX",
            "timestamp": moment(at_s),
            # A number of 64 bits is a text in the JSON of protocol buffers.
            **({} if last_at is None else {"secs_since_last_action": str(max(0, int(at_s - last_at)))}),
            "cluster_name": cluster,
            "upstream_url": event.endpoint,
            "action": "EJECT" if is_ejection else "UNEJECT",
            "num_ejections": count,
            "enforced": is_ejection,
            **(_cause(event) if isinstance(event, Ejected) else {}),
        }


def _cause(event: Ejected) -> dict[str, Any]:
    if event.reason in _TYPES:
        return {"eject_consecutive_event": {}}
    return {"eject_extension_event": {"monitor_name": f"llm-fallback: {event.reason}"}}
