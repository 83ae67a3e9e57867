"""A collector that listens for OTLP over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web


def with_collector(
    handler: Callable[[web.Request], Awaitable[web.Response]], scenario: Callable[[str], None]
) -> None:
    """Play the scenario in a thread of its own, with the address of a collector."""

    async def play() -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            await asyncio.to_thread(scenario, f"http://{host}:{port}")
        finally:
            await runner.cleanup()

    asyncio.run(play())
