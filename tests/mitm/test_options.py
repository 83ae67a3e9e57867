"""The options that there are, and what is written of them."""

import re
from pathlib import Path

from mitmproxy.addonmanager import Loader
from mitmproxy.test import taddons

from llm_fallback.mitm import options

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs/options.md"


def test_all_are_documented() -> None:
    """With their defaults."""
    with taddons.context() as context:
        options.declare(Loader(context.master))
        declared = {name: found.default for name, found in context.options.items() if name.startswith("llm_")}
    rows = re.findall(r"^\| `(llm_\w+)` \| (?:`(.*?)`)? ?\|", DOCUMENTED.read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == declared
