"""For `mitmdump -s addon/main.py`. No other module stands beside this one: its folder stays on `sys.path`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `-s` with a relative path adds a relative one

from llm_fallback.mitm.addon import addons

__all__ = ["addons"]
