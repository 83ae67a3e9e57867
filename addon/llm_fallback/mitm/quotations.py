"""mitmproxy's log without the bytes that it quotes: whole headers, of a request that it cannot read."""

import logging
import re
from collections.abc import Callable

from llm_fallback.redaction import REDACTED

_MITMPROXYS = logging.getLogger("mitmproxy.proxy.server")
_BYTES = re.compile(r"\bb(?:'.*'|\".*\")", re.DOTALL)


def install() -> Callable[[], None]:
    """Leave quotations out from now on; the result undoes it."""
    _MITMPROXYS.addFilter(_without_quotations)
    return lambda: _MITMPROXYS.removeFilter(_without_quotations)


def _without_quotations(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    if _BYTES.search(message):
        record.msg, record.args = _BYTES.sub(REDACTED, message), ()
    return True
