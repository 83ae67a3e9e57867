"""What is said about a defect of our own: its kind and place, and nothing of the request that met it."""

import logging
import traceback
from collections.abc import Callable

logger = logging.getLogger("llm-fallback")


def report(error: Exception) -> None:
    """Log the error without its message, which might quote the request; type and place cannot."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s while handling a request\n%s", type(error).__name__, frames)


def tell[T](listener: Callable[[T], None], what: T) -> None:
    """Tell a listener; a defect of its own is reported, and harms nobody else."""
    try:
        listener(what)
    except Exception as error:  # noqa: BLE001 - whatever it is, who tells has nothing to do with it
        report(error)
