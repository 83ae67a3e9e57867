"""A client on raw connections, which sees whether an answer is cut."""

import asyncio
import json
from contextlib import suppress

from tests.parity.scenario import Answer, Scenario

TIMEOUT_S = 20.0
_MAX_HEAD = 1024 * 1024
_NOT_COMPARED = frozenset({"date", "connection"})  # the clock; and what the proxy does with our connection
_SERVER = "server"  # Envoy writes its own over a provider's; the addon leaves the provider's


async def ask(port: int, scenario: Scenario, *headers: str) -> Answer:
    """One request for the scenario's primary through the proxy at the port, on a connection of its own."""
    method, host = scenario.method, scenario.host("primary")
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_MAX_HEAD)
    body = json.dumps("x" * (scenario.body_size - 2)).encode() if method == "POST" else b""
    lines = [f"{method} http://{host}/v1/chat/completions HTTP/1.1", f"Host: {host}", *headers]
    lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _read_answer(reader, method)
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
        return Answer(0, f"no answer: {type(error).__name__}", is_local=True)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader, method: str) -> Answer:
    top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = top.split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(status_line.split(" ")[1])
    has_body = method != "HEAD" and status not in (204, 304)
    body, is_cut = await _read_body(reader, headers) if has_body else (b"", False)
    is_local = headers.get("content-type") != "text/x-endpoint"
    compared = tuple(
        (name, value if is_local else "") for name, value in headers.items() if name not in _NOT_COMPARED
    )
    if not is_local:
        compared = tuple(sorted(field for field in compared if field[0] != _SERVER))
    return Answer(status, body.decode(), is_cut, is_local, compared)


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
