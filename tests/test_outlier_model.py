"""The detector and a naive model of it agree on random histories; `scripts/parity --model N` plays more."""

import os
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parity.model import compare, compare_histories, random_history

HISTORIES = int(os.environ.get("PARITY_MODEL", "10000"))


def test_every_history_comes_out_as_with_a_loop_over_the_sweeps() -> None:
    """Always the same histories, many of them."""
    compare_histories(HISTORIES)


@settings(max_examples=500, deadline=None)
@given(st.randoms(use_true_random=False))
def test_histories_that_differ_from_run_to_run(rng: random.Random) -> None:
    """Others each time, and the shortest one that fails."""
    compare(random_history(rng))
