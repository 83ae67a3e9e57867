"""ASM's tutorial with one file more: both of its requests are answered, and all else is as it was."""

import json
import socket
from dataclasses import replace
from pathlib import Path

from standin import Answers, StandIn
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import ask
from tests.support.mesh import Host
from tests.support.policies import write_documents
from tests.support.proxy import Proxy, Setting
from tests.support.secret import Secret

PRIMARY, FALLBACK = "asm-llm-provider-test.com", "dashscope.aliyuncs.com"
KEY = Secret("the fallback's key", "sk-fallback-90ab3e1c7f")


def test_both_requests_are_answered(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """The first by rescue, the second because the primary is ejected."""
    setting = replace(setting, environment={"dashscopeAPI_KEY": KEY.value})
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        fallback = StandIn(Answers(key=KEY.value), tls=authority.issue(FALLBACK))
        with background.serving(fallback):
            ports = {PRIMARY: reserved.getsockname()[1], FALLBACK: fallback.port}
            hosts = [Host(name=name, port=port) for name, port in ports.items()]
            entries = [d for host in hosts for d in host.documents() if d["kind"] == "ServiceEntry"]
            overlay = write_documents(tmp_path / "overlay", entries)
            with Proxy(setting, f"config,config/rescue,{overlay}") as proxy:
                answers = [ask(proxy, f"http://{PRIMARY}") for _ in range(2)]
                proxy.wait_for_line(f"ejected {PRIMARY}:80 .* for 10 s")
    models = [json.loads(answer.body)["model"] for answer in answers]
    assert models == ["qwen1.5-72b-chat"] * 2
    attempts = [answer.headers["x-llm-fallback-attempts"] for answer in answers]
    assert attempts == ["2", "1"]
    assert [KEY.is_bearer_of(seen) for seen in fallback.seen] == [True, True]
