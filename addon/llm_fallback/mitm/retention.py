"""A bound on what mitmproxy and mitmweb keep in view, which have none of their own."""

import logging
from collections.abc import Sequence
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.flow import Flow

from llm_fallback.mitm import carriage

logger = logging.getLogger("llm-fallback")

_FLOW_BYTES = 16 * 1024  # about what one without bodies takes
_KEPT = 0.8  # of the bound, so that this is done once in a while and not for each flow


class Retention:
    """Lets the oldest unmarked flows go when all together are larger than `limit` bytes (0: never)."""

    def __init__(self) -> None:
        self.limit = 0
        self._size = 0
        self._left = 0.0
        self._has_told = False

    def ended(self, flow: Flow) -> None:
        """Take a flow into account that is over."""
        view: Any = ctx.master.addons.get("view")
        if view is None:  # mitmdump keeps nothing
            return
        self._size += size_of(flow)
        # If much of it is marked by hand, and so stays, not for each flow again.
        if self.limit and self._size > max(self.limit, self._left / _KEPT):
            self._shrink(view)
            self._left = self._size

    def _shrink(self, view: Any) -> None:
        flows: Sequence[Flow] = sorted(view.resolve("@all"), key=lambda flow: flow.timestamp_created)
        self._size = sum(map(size_of, flows))
        gone = 0
        for flow in flows:
            if self._size <= self.limit * _KEPT:
                break
            if not flow.live and not _is_marked_by_hand(flow):
                view.remove([flow])
                self._size -= size_of(flow)
                gone += 1
        if gone and not self._has_told:
            self._has_told = True
            megabytes = self.limit // (1024 * 1024)
            logger.info(
                "the view has more than %d MB: from now on the oldest flows go (llm_view_mb)", megabytes
            )


def size_of(flow: Flow) -> int:
    """About how many bytes of memory a flow takes."""
    if not isinstance(flow, http.HTTPFlow):
        return _FLOW_BYTES
    bodies = (message.raw_content for message in (flow.request, flow.response) if message)
    return _FLOW_BYTES + sum(len(body) for body in bodies if body)


def _is_marked_by_hand(flow: Flow) -> bool:
    return bool(flow.marked) and flow.marked not in carriage.MARKERS
