"""While mitmproxy ends it still serves clients: what is managed must not become mitmproxy's own to carry."""

import asyncio

from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.test import taddons

from llm_fallback.mitm.addon import LLMFallback


def test_managed_flows_stay_ours_to_the_end() -> None:
    """Where the script is only unloaded, mitmproxy is left as it was."""
    own = HttpLayer.get_connection

    async def scenario() -> None:
        addon = LLMFallback()
        with taddons.context() as context:
            context.master.addons.add(addon)
            ours = HttpLayer.get_connection
            context.master.should_exit.set()
            addon.done()
            assert HttpLayer.get_connection is ours is not own
            context.master.should_exit.clear()
            addon.done()
            assert HttpLayer.get_connection is own

    asyncio.run(scenario())
