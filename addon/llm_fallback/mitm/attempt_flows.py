"""Failed attempts as flows of their own, for those who look: they are shown and saved, and go nowhere."""

import time
from collections.abc import Mapping
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.flow import Error
from mitmproxy.net.http import status_codes

from llm_fallback import story
from llm_fallback.echoes import Echoes
from llm_fallback.mitm import flows, packed_bodies
from llm_fallback.redaction import redact_value
from llm_fallback.upstream.defects import report
from llm_fallback.upstream.shared import LostAttempt

METADATA = "llm_fallback_attempt"
"""The key in `flow.metadata` by which such a flow is known, and by which it knows the client's."""

NOT_A_REQUEST = "This flow shows an attempt. Replay the client's own flow instead.\n"

LOST = ":leftwards_arrow_with_hook:"
"""The marker of such a flow."""

_DETAILED = 2


def client_of(flow: http.HTTPFlow) -> str | None:
    """The id of the client's flow, of one that shows an attempt. A file may have anything in its place."""
    attempt = flow.metadata.get(METADATA)
    return str(attempt.get("of")) if isinstance(attempt, Mapping) else None


class AttemptFlows:
    """Makes a flow of each lost attempt.

    Only what shows and saves flows gets them: to other addons they would be requests, and were none of a
    client's.
    """

    def show(self, flow: http.HTTPFlow, lost: LostAttempt) -> None:
        """Show an attempt that was made for a client's flow."""
        try:
            _deliver(_flow_of(flow, lost))
        except Exception as error:  # noqa: BLE001 - what cannot be shown must not stop what it shows
            report(error)


def _flow_of(flow: http.HTTPFlow, lost: LostAttempt) -> http.HTTPFlow:
    attempt, now = lost.attempt, time.time()
    began = now - (attempt.lost_after_s or 0.0)
    server = Server(address=(lost.endpoint.address, lost.endpoint.port))
    server.timestamp_start, server.timestamp_end = began, now
    shown = http.HTTPFlow(flow.client_conn, server)
    shown.request = flow.request.copy()
    shown.request.timestamp_start = shown.request.timestamp_end = began
    flows.show_request(shown, server, lost.outgoing, lost.target, lost.endpoint)
    server.state = ConnectionState.CLOSED
    if attempt.status is None:
        shown.error = Error(attempt.result, now)
    else:
        echoes = Echoes([lost.outgoing])
        fields = echoes.fields(
            tuple((flows.encode(n), flows.encode(redact_value(n, v))) for n, v in lost.headers)
        )
        began_answering = began + attempt.duration_s
        packed = ", ".join(v for n, v in lost.headers if n.lower() == "content-encoding")
        body = packed_bodies.without(echoes, lost.body, packed)
        shown.response = http.Response(
            b"HTTP/1.1",
            attempt.status,
            _reason(attempt.status),
            http.Headers(fields),
            body,
            None,
            began_answering,
            now,
        )
    shown.comment = story.lost(attempt, flow.id)
    shown.marked = LOST
    shown.metadata[METADATA] = {"of": flow.id, **story.attempt_as_data(attempt)}
    return shown


def _reason(status: int) -> bytes:
    """The usual phrase: the one that came is not kept."""
    return status_codes.RESPONSES.get(status, "").encode()


def _deliver(flow: http.HTTPFlow) -> None:
    """Hand a flow that is over to the addons of mitmproxy that show and save flows."""
    for name in ("save", "savehar", "view", "dumper"):
        addon: Any = ctx.master.addons.get(name)
        if name == "dumper" and addon and ctx.options.flow_detail < _DETAILED:
            continue  # a line of ours tells of them
        for hook in ("requestheaders", "request", "response" if flow.response else "error"):
            if taking := getattr(addon, hook, None):
                taking(flow)
