"""Conditions of a VirtualService's rules on requests."""

from typing import Annotated

from pydantic import AfterValidator

from llm_fallback.resources.base import Model, OptionalPort, UnsupportedError
from llm_fallback.resources.names import DnsLabel, GatewayName, Labels, matched_header
from llm_fallback.resources.stringmatch import PresenceMatch, StringMatch, UriMatch

_CLAIMS = "@request.auth.claims"


def _header(value: str) -> str:
    if value.startswith(_CLAIMS):
        raise UnsupportedError(
            "conditions on a token's claims are for gateways, and not supported; remove it"
        )
    return matched_header(value)


MatchedHeader = Annotated[str, AfterValidator(_header)]


class HTTPMatchRequest(Model):
    """Conditions that must all hold; one without conditions holds for every request."""

    name: str = ""
    uri: UriMatch | None = None
    ignore_uri_case: bool = False
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[MatchedHeader, StringMatch] = {}
    without_headers: dict[MatchedHeader, PresenceMatch] = {}
    query_params: dict[str, StringMatch] = {}
    port: OptionalPort = None
    source_labels: Labels = {}
    source_namespace: DnsLabel | None = None
    gateways: list[GatewayName] = []
    stat_prefix: str = ""  # a name for Envoy's counters
