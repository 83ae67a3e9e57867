"""The admin page: what Envoy's admin interface shows and more, on loopback only. Knows no mitmproxy."""

from llm_fallback.admin.application import application
from llm_fallback.admin.listener import Address, BadAddressError, Listener, address_of
from llm_fallback.admin.shown import Actions, Shown

__all__ = ["Actions", "Address", "BadAddressError", "Listener", "Shown", "address_of", "application"]
