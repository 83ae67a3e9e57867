"""How much rescuing the process does at once, so that an outage is not made worse. Pure."""

from llm_fallback.config.rescue import Budget


class RescueBudget:
    """How many requests with a policy the process serves, and how many attempts rescue some of them."""

    def __init__(self) -> None:
        self.requests = 0
        self.attempts = 0

    def take(self, budget: Budget) -> bool:
        """Count one more attempt; False if there are as many as the policy allows."""
        if self.attempts >= max(budget.minimum, self.requests * budget.percent / 100):
            return False
        self.attempts += 1
        return True

    def give_back(self) -> None:
        """Count one attempt less."""
        self.attempts -= 1
