"""What is said about a defect of our own: its kind and place, and nothing of the request that met it."""

import logging
import traceback

logger = logging.getLogger("llm-fallback")


def report(error: Exception) -> None:
    """Log the error without its message, which might quote the request; type and place cannot."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s while handling a request\n%s", type(error).__name__, frames)
