"""A terminal that is closed, where nothing in the event loop comes to pass any more."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

STUCK = """\
import asyncio, os, sys, time
os.setsid()
os.open(sys.argv[1], os.O_RDWR)
from llm_fallback.mitm import hangup
nothing = lambda: None
hangup.install(
    asyncio.new_event_loop(),
    on_demand=nothing,
    on_terminal_closed=nothing,
    at_once=lambda: os.unlink(sys.argv[2]),
)
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_it_ends_in_any_case(tmp_path: Path) -> None:
    """And has told before, as mitmproxy's console comes to no orderly end."""
    file = tmp_path / "1.json"
    file.touch()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", STUCK, os.ttyname(theirs), str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        os.close(theirs)
        os.close(ours)  # the kernel's signal is the first one
        assert process.wait(30) == -signal.SIGHUP
    assert not file.exists()
