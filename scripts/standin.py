"""A local stand-in for a provider with an OpenAI-compatible API: for the demo, the tests and trials.

It answers `POST …/chat/completions`, whole or streamed, and remembers what it was asked. No model is
involved.

    python scripts/standin.py --host dashscope.aliyuncs.com --key sk-made-up --ca-bundle /tmp/ca.pem

prints one JSON line with its address, then one for each request, keys redacted.
"""

import argparse
import asyncio
import json
import signal
import socket
import ssl
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, override
from weakref import WeakKeyDictionary

import trustme
from aiohttp import web
from multidict import CIMultiDictProxy

type Json = Mapping[str, Any]

ADDRESS = "127.0.0.1"
CHAT_COMPLETIONS = "/chat/completions"
CONTENT = "Hello from a stand-in: no model was asked."
MAX_BODY_BYTES = 64 * 1024 * 1024
PIECE_LENGTH = 4  # characters in one streamed piece: about what a token is


class ThrowawayCA:
    """A certificate authority that exists as long as this object; nobody trusts it unless told to."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name="stand-in, for tests only")

    def issue(self, *hostnames: str) -> ssl.SSLContext:
        """Return a server's context with a certificate for these names (or addresses)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*hostnames).configure_cert(context)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def write_bundle(self, path: Path) -> None:
        """Write the authority's certificate, as SSL_CERT_FILE and `curl --cacert` want it."""
        self._ca.cert_pem.write_to_path(str(path))


def redact(authorization: str | None) -> str | None:
    """Return an Authorization header fit to be shown: `Bearer sk-…`."""
    if authorization is None:
        return None
    scheme, space, key = authorization.partition(" ")
    if not space:
        return "…"
    return f"{scheme} {'sk-' if key.startswith('sk-') else ''}…"


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    host: str
    sni: str | None
    headers: CIMultiDictProxy[str]
    body: bytes
    model: str | None

    @property
    def authorization(self) -> str | None:
        """The Authorization header, with the key in it."""
        return self.headers.get("Authorization")

    def redacted(self) -> dict[str, str | None]:
        """Return what may be printed: no key, no body."""
        return {
            "host": self.host,
            "sni": self.sni,
            "method": self.method,
            "path": self.path,
            "model": self.model,
            "authorization": redact(self.authorization),
        }

    @override
    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.redacted().items())
        return f"Seen({fields}, body={len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class Answers:
    """What a stand-in says, and what it demands first."""

    content: str = CONTENT
    key: str | None = None  # the one accepted as `Authorization: Bearer …`; None accepts any and none
    delay_s: float = 0.0  # before the answer, and between the events of a streamed one
    fail_with: int | None = None  # an HTTP status to answer everything with


class StandIn:
    """A provider on 127.0.0.1; `async with` starts and stops it.

    `tls` must not be shared with another stand-in: it is told to report the names that clients ask for.
    `sock` is a bound socket to listen on, for a port that was reserved before; otherwise `port`, 0 for any.
    `answers` may be replaced at any time.
    """

    def __init__(
        self,
        answers: Answers | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        sock: socket.socket | None = None,
        on_request: Callable[[Seen], None] | None = None,
    ) -> None:
        self.answers = answers or Answers()
        self.seen: list[Seen] = []
        self.port = port
        self._tls = tls
        self._sock = sock
        self._on_request = on_request
        self._sni: WeakKeyDictionary[object, str] = WeakKeyDictionary()
        self._runner: web.AppRunner | None = None
        if tls is not None:
            tls.sni_callback = self._note_sni

    @property
    def url(self) -> str:
        """The address as a URL without a path."""
        return f"{'https' if self._tls else 'http'}://{ADDRESS}:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # A client that leaves half-way ends the handler, as it would at a real provider.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await self._site(runner).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _site(self, runner: web.AppRunner) -> web.BaseSite:
        if self._sock is not None:
            return web.SockSite(runner, self._sock, ssl_context=self._tls)
        return web.TCPSite(runner, ADDRESS, self.port, ssl_context=self._tls)

    def _note_sni(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name is not None:
            self._sni[connection] = name

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        question = _json_object(body)
        seen = self._record(request, body, question)
        answers = self.answers
        refusal = _refusal(seen, question, answers)
        if refusal is None and question is not None and question.get("stream") is True:
            return await _stream(request, question, answers)
        await asyncio.sleep(answers.delay_s)
        return refusal or _json_response(_completion(question or {}, answers))

    def _record(self, request: web.Request, body: bytes, question: Json | None) -> Seen:
        path, _, query = request.raw_path.partition("?")
        model = (question or {}).get("model")
        seen = Seen(
            method=request.method,
            path=path,
            query=query,
            host=request.headers.get("Host", ""),
            sni=self._sni.get(request.get_extra_info("ssl_object")) if self._tls else None,
            headers=request.headers,
            body=body,
            model=model if isinstance(model, str) else None,
        )
        self.seen.append(seen)
        if self._on_request is not None:
            self._on_request(seen)
        return seen


def _json_object(body: bytes) -> Json | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _json_response(value: Json, status: int = 200) -> web.Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json")


def _error(
    status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error"
) -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return _json_response({"error": error, "request_id": str(uuid.uuid4())}, status)


def _refusal(seen: Seen, question: Json | None, answers: Answers) -> web.Response | None:
    """Return the error a provider would answer with; None if the request is one it can answer."""
    if answers.fail_with is not None:
        return _error(answers.fail_with, "The stand-in was told to fail.", kind="server_error")
    if not seen.path.endswith(CHAT_COMPLETIONS):
        return _error(404, f"Invalid URL ({seen.method} {seen.path})")
    if seen.method != "POST":
        return _error(405, f"Not allowed to {seen.method} on {seen.path}", code="method_not_supported")
    if answers.key is not None and seen.authorization != f"Bearer {answers.key}":
        return _error(401, "Incorrect API key provided.", code="invalid_api_key")
    return _complaint(question)


def _complaint(question: Json | None) -> web.Response | None:
    if question is None:
        return _error(400, "The body of the request is not a JSON object.")
    if not isinstance(question.get("model"), str):
        return _error(400, "You must provide a model parameter.")
    return None


def _completion(question: Json, answers: Answers) -> Json:
    message = {"role": "assistant", "content": answers.content}
    return {
        "choices": [{"message": message, "finish_reason": "stop", "index": 0, "logprobs": None}],
        "object": "chat.completion",
        "usage": _usage(question, answers),
        **_identity(question),
    }


def _identity(question: Json) -> Json:
    return {
        "created": int(datetime.now(UTC).timestamp()),
        "system_fingerprint": None,
        "model": question.get("model"),
        "id": f"chatcmpl-{uuid.uuid4()}",
    }


def _usage(question: Json, answers: Answers) -> Json:
    """Return token counts of a plausible size; a real tokenizer would be heavy for a stand-in."""
    prompt = 1 + len(json.dumps(question.get("messages"), ensure_ascii=False)) // PIECE_LENGTH
    completion = len(_pieces(answers.content))
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _pieces(content: str) -> Sequence[str]:
    return [content[start : start + PIECE_LENGTH] for start in range(0, len(content), PIECE_LENGTH)]


def _chunks(question: Json, answers: Answers) -> Iterator[Json]:
    """Yield the events of a streamed answer, as OpenAI orders them."""
    options = question.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True
    common = {
        "object": "chat.completion.chunk",
        **({"usage": None} if with_usage else {}),
        **_identity(question),
    }

    def chunk(delta: Json, finish_reason: str | None = None) -> Json:
        choice = {"delta": delta, "finish_reason": finish_reason, "index": 0, "logprobs": None}
        return {"choices": [choice], **common}

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(answers.content):
        yield chunk({"content": piece})
    yield chunk({}, "stop")
    if with_usage:
        yield {"choices": [], **common, "usage": _usage(question, answers)}


async def _stream(request: web.Request, question: Json, answers: Answers) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await asyncio.sleep(answers.delay_s)
    await response.prepare(request)
    with suppress(ConnectionError):  # the client left; `seen` already has the request
        for chunk in _chunks(question, answers):
            await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
            await asyncio.sleep(answers.delay_s)
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
    return response


def _print_line(value: Json) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def _show(seen: Seen) -> None:
    _print_line(seen.redacted())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="A local stand-in for a provider with an OpenAI-compatible API."
    )
    parser.add_argument("--host", action="append", help="a name its certificate is for; may be repeated")
    parser.add_argument("--key", help="the only API key it accepts (default: any, and none)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--ca-bundle", type=Path, help="where to write the certificate to trust")
    parser.add_argument("--plain", action="store_true", help="serve http instead of https")
    parser.add_argument("--content", default=CONTENT, help="the text of its answers")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="before each answer or event"
    )
    parser.add_argument("--fail", type=int, metavar="STATUS", help="answer everything with this HTTP status")
    return parser.parse_args(arguments)


async def _serve(options: argparse.Namespace) -> None:
    hosts: list[str] = options.host or ["localhost"]
    tls: ssl.SSLContext | None = None
    if not options.plain:
        authority = ThrowawayCA()
        tls = authority.issue(*hosts)
        if options.ca_bundle is not None:
            authority.write_bundle(options.ca_bundle)
    answers = Answers(options.content, options.key, options.delay, options.fail)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async with StandIn(answers, tls=tls, port=options.port, on_request=_show) as standin:
        _print_line({"url": standin.url, "port": standin.port, "hosts": hosts})
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    try:
        asyncio.run(_serve(_parse(arguments)))
    except OSError as error:  # the port is taken, the bundle cannot be written
        print(f"standin: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
