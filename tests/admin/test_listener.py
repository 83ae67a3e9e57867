"""Where the admin page listens."""

import asyncio
import logging
import socket

import pytest
from aiohttp import ClientConnectorError, ClientSession, web

from llm_fallback.admin import Address, BadAddressError, Listener, address_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9901", Address("127.0.0.1", 9901)),
        ("127.0.0.2:0", Address("127.0.0.2", 0)),
        ("localhost:9901", Address("127.0.0.1", 9901)),
        ("[::1]:9901", Address("::1", 9901)),
    ],
)
def test_an_address(text: str, address: Address) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.0.0.0:9901", "'0.0.0.0:9901' can be reached from other machines; write 127.0.0.1:9901"),
        ("[::]:9901", "can be reached from other machines"),
        ("192.168.0.1:9901", "can be reached from other machines"),
        ("9901", "is not an address; write 127.0.0.1:9901"),
        (":9901", "is not an address"),
        ("127.0.0.1", "is not an address"),
        ("127.0.0.1:99999", "is not an address"),
        ("::1:9901", "is not an address"),
        ("admin.example.com:9901", "has a name in it"),
        ("[127.0.0.1:9901", "is not an address"),
    ],
)
def test_what_is_no_address_here(text: str, why: str) -> None:
    with pytest.raises(BadAddressError, match=why.replace("[", r"\[")):
        address_of(text)


def application() -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    made = web.Application()
    made.router.add_get("/", answer)
    return made


def test_it_listens_at_once_and_no_more_once_closed() -> None:
    """The same port can be had again without waiting."""

    async def play() -> None:
        first = Listener(application(), Address("127.0.0.1", 0))
        first.close()
        second = Listener(application(), first.address)
        async with ClientSession() as client:
            async with client.get(f"http://{second.address}/") as response:
                assert await response.text() == "here"
            second.close()
            third = Listener(application(), first.address)
            third.close()
            with pytest.raises(ClientConnectorError):
                await client.get(f"http://{third.address}/")

    asyncio.run(play())


@pytest.mark.parametrize(
    "line",
    ["Authorization: Bearer the-t0ken\r\n and more", "Authorization Bearer the-t0ken", "X: the-t0ken\x00"],
)
def test_a_request_that_cannot_be_read(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Is answered, and quoted in no log."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[assignment]

    async def play() -> bytes:
        listener = Listener(application(), Address("127.0.0.1", 0))
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(f"GET / HTTP/1.1\r\nHost: {listener.address}\r\n{line}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        listener.close()
        return answer

    logging.getLogger().addHandler(handler)
    try:
        assert b" 400 " in asyncio.run(play()).partition(b"\r\n")[0]
    finally:
        logging.getLogger().removeHandler(handler)
    assert [record for record in records if record.name != "asyncio"] == []
    assert "the-t0ken" not in "".join(capfd.readouterr())


def test_a_port_that_is_taken() -> None:
    async def play(taken: int) -> None:
        with pytest.raises(OSError, match="in use"):
            Listener(application(), Address("127.0.0.1", taken))

    with socket.create_server(("127.0.0.1", 0)) as other:
        asyncio.run(play(other.getsockname()[1]))
