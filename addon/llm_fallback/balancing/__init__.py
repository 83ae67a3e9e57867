"""Which endpoint of a target takes a request: Envoy's load balancing. Pure."""

from llm_fallback.balancing.balancer import Balancer
from llm_fallback.balancing.hashing import NewCookie, hash_key, new_cookie

__all__ = ["Balancer", "NewCookie", "hash_key", "new_cookie"]
