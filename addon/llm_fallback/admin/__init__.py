"""The admin page: what Envoy's admin interface shows, on loopback only. Knows no mitmproxy."""

from llm_fallback.admin.listener import Address, BadAddressError, Listener, address_of
from llm_fallback.admin.pages import Shown, application

__all__ = ["Address", "BadAddressError", "Listener", "Shown", "address_of", "application"]
