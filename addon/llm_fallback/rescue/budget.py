"""How much rescuing the process does at once, so that an outage is not made worse. Pure."""

from llm_fallback.config.rescue import Budget


class RescueBudget:
    """How many requests with a policy the process serves, and how many attempts rescue some of them."""

    def __init__(self) -> None:
        self.requests = 0
        self.attempts = 0

    def allows(self, budget: Budget) -> bool:
        """Whether there are fewer attempts than a policy allows."""
        return self.attempts < max(budget.minimum, self.requests * budget.percent / 100)

    def take(self) -> None:
        """Count one attempt more."""
        self.attempts += 1

    def give_back(self) -> None:
        """Count one attempt less."""
        self.attempts -= 1
