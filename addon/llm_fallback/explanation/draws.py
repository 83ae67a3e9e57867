"""A random number generator for decisions that leave nothing to chance. Pure."""

import random


class HighestDraw(random.Random):
    """Draws the highest number always: what it hits is certain."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """The last number of the range."""
        return range(start)[-1] if stop is None else range(start, stop, step)[-1]
