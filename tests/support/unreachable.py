"""Addresses that nobody can connect to."""

import socket
from contextlib import ExitStack

_FILLING = 4


def full_backlog(stack: ExitStack) -> socket.socket:
    """A listener that answers no further handshake: its queue is full, and nobody accepts."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(_FILLING):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0)
        waiting.connect_ex(listener.getsockname())
    return listener
