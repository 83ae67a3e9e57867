"""A script for mitmdump that has names of scenarios resolved by the test's DNS server.

The system's resolver cannot be told a port, nor to forget an answer soon. Test double, and nothing else.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any

from dnslib import QTYPE, RCODE, DNSRecord  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "addon"))

from llm_fallback.upstream import discovery

_TIMEOUT_S = 10.0
_PORT = int(os.environ["PARITY_DNS_PORT"])
_system = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
    if not (isinstance(host, str) and host.startswith("dns.") and host.endswith(".test")):
        return _system(host, port, *arguments, **named)
    try:
        raw = DNSRecord.question(host, "A").send("127.0.0.1", _PORT, timeout=_TIMEOUT_S)
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None
    answer = DNSRecord.parse(raw)
    if answer.header.rcode == RCODE.NXDOMAIN:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if answer.header.rcode:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    found = [str(record.rdata) for record in answer.rr if record.rtype == QTYPE.A]
    if not found:
        raise socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


socket.getaddrinfo = _getaddrinfo
discovery.REFRESH_S = 0.2  # as in the configuration of Envoy
