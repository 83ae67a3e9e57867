"""The scenarios that people thought of."""

from tests.parity.scenario import Scenario
from tests.parity.scenarios import detection, limits, retries, timeouts

_GROUPS = (*detection.GROUPS, *retries.GROUPS, *timeouts.GROUPS, *limits.GROUPS)
SCENARIOS: tuple[Scenario, ...] = tuple(scenario for group in _GROUPS for scenario in group())
