"""Targets whose addresses come from DNS: one that is dead with one address does not use up the attempts."""

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.support import answers
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import http_client
from tests.support.mesh import Host
from tests.support.policies import policy, write_documents
from tests.support.provider import Provider
from tests.support.proxy import Proxy, Setting
from tests.support.rescued import FALLBACK, PRIMARY, THIRD, URL, WHOLE


def test_the_third_is_asked(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """Two refuse; each is asked once, although Istio's default retries are two, and the third answers."""
    third = Provider(answers.good(), authority.issue(THIRD))
    with ExitStack() as stack:
        stack.enter_context(background.serving(third))
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        hosts = [
            Host(name=PRIMARY, port=port, fallback=FALLBACK),
            Host(name=FALLBACK, port=port),
            Host(name=THIRD, port=third.port),
        ]
        documents = [document for host in hosts for document in host.documents()]
        for document in documents:
            if document["kind"] == "ServiceEntry":
                document["spec"]["resolution"] = "DNS"
                document["spec"]["endpoints"] = [{"address": "localhost"}]
        chained = policy("primary", chain=[{"host": THIRD}], rescue={"attempts": 3})
        config = write_documents(tmp_path / "mesh", [*documents, chained])
        proxy = stack.enter_context(Proxy(setting, config))
        client = stack.enter_context(http_client(proxy))
        answer = client.post(URL, content=WHOLE)
    assert (answer.status_code, answer.content) == (200, answers.whole())
    assert answer.headers["x-llm-fallback-attempts"] == "3"
