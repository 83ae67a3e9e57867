"""A DNS server on loopback that answers what the timeline says."""

import asyncio
from collections import Counter
from typing import Any, Self

from dnslib import QTYPE, RCODE, RR, A, DNSRecord  # type: ignore[import-untyped]

type Answered = tuple[str, ...] | str
"""Addresses; or why there are none: NXDOMAIN, SERVFAIL, EMPTY."""

TTL_S = 1


class NameServer(asyncio.DatagramProtocol):
    """Answers by UDP; `async with` starts and stops it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answered] = {}
        self.asked: Counter[str] = Counter()
        self.port = 0
        self._transport: asyncio.DatagramTransport

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, address: tuple[str | Any, int]) -> None:
        """Answer one question."""
        query = DNSRecord.parse(data)
        name = str(query.q.qname).rstrip(".").lower()
        answer = self.answers.get(name, "NXDOMAIN")
        reply = query.reply()
        if isinstance(answer, tuple):
            if query.q.qtype == QTYPE.A:
                self.asked[name] += 1
                for found in answer:
                    reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A(found), ttl=TTL_S))
        else:
            self.asked[name] += 1
            if answer != "EMPTY":
                reply.header.rcode = getattr(RCODE, answer)
        self._transport.sendto(reply.pack(), address)
