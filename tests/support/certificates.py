"""Certificates that are wrong, beside those that are right."""

import ssl
from datetime import UTC, datetime, timedelta

from standin import ThrowawayCA


class Authority(ThrowawayCA):
    """The authority that the proxies under test trust."""

    def issue_expired(self, *hostnames: str) -> ssl.SSLContext:
        """A server's context whose certificate ran out an hour ago."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        end = datetime.now(UTC) - timedelta(hours=1)
        self._ca.issue_cert(*hostnames, not_before=end - timedelta(days=1), not_after=end).configure_cert(
            context
        )
        return context
