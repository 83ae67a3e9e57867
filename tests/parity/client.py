"""A client on raw connections, which sees whether an answer is cut."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import replace

from tests.parity.scenario import CHAT, Answer, Request, Scenario

TIMEOUT_S = 20.0
_MAX_HEAD = 1024 * 1024
_NOT_COMPARED = frozenset({"date", "connection"})  # the clock; and what the proxy does with our connection
_NOTHING = frozenset({("transfer-encoding", "chunked"), ("content-length", "0")})
_VALUE_NOT_COMPARED = frozenset({"x-envoy-upstream-service-time"})  # the clock too


async def ask(port: int, scenario: Scenario, request: Request = CHAT) -> Answer:
    """One request through the proxy at the port, on a connection of its own."""
    host = scenario.host(request.service)
    method = request.method or scenario.method
    size = scenario.body_size if request.body_size is None else request.body_size
    body = json.dumps("x" * (size - 2)).encode() if method == "POST" else b""
    headers = [f"{name}: {value}" for name, value in request.headers]
    lines = [f"{method} http://{host}{request.path} HTTP/1.1", f"Host: {host}", *headers]
    lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
    began = time.monotonic()  # noqa: TID251 - what a client waits is part of the answer
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_MAX_HEAD)
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await _read_answer(reader, method)
        return replace(answer, seconds=time.monotonic() - began)  # noqa: TID251
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
        return Answer(0, f"no answer: {type(error).__name__}", is_local=True)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader, method: str) -> Answer:
    before: list[tuple[str, str]] = []
    while True:
        top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = top.split("\r\n")[:-2]
        status = int(status_line.split(" ")[1])
        if status >= 200:
            break
        before.append(("before", str(status)))
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    headers = dict(fields)
    has_body = method != "HEAD" and status not in (204, 304)
    body, is_cut = await _read_body(reader, headers) if has_body else (b"", False)
    compared = [
        (name, "" if name in _VALUE_NOT_COMPARED else value)
        for name, value in fields
        if name not in _NOT_COMPARED
    ]
    if not has_body:  # how nothing is framed says nothing
        compared = [field for field in compared if field not in _NOTHING]
    is_local = headers.get("content-type") != "text/x-endpoint"
    return Answer(status, body.decode(), is_cut, is_local, tuple(sorted(before + compared)))


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> tuple[bytes, bool]:
    if headers.get("transfer-encoding") == "chunked":
        return await _read_chunks(reader)
    try:
        return await reader.readexactly(int(headers.get("content-length", "0"))), False
    except asyncio.IncompleteReadError as error:
        return error.partial, True


async def _read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    body = bytearray()
    try:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    except asyncio.IncompleteReadError:
        return bytes(body), True
    return bytes(body), False
