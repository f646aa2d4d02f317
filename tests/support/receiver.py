"""A receiver of webhooks on loopback that does what a test tells it: answer, refuse, hang, redirect."""

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

PATIENCE = 60.0
"""Seconds until a test that waits gives up: far beyond any slow machine."""


@dataclass(frozen=True)
class Notice:
    """A request as it came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def form(self) -> dict[str, str]:
        """What a posted form says."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))

    @property
    def session(self) -> str | None:
        session: str | None = self.content["data"]["session"]
        return session


Answer = Callable[[Notice], int]


class Receiver:
    """Answers each notice with the status that `answer` says, 204 by default; keeps all of them."""

    def __init__(
        self,
        answer: Answer = lambda _notice: 204,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        says: bytes = b"",
    ) -> None:
        self.answer = answer
        self.says = says
        self.notices: list[Notice] = []
        self.came = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                names = {name.lower(): value for name, value in self.headers.items()}
                notice = Notice(names, body)
                receiver.notices.append(notice)
                receiver.came.release()
                status = receiver.answer(notice)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", f"{receiver.url}/elsewhere")
                says = b"" if status == 204 else receiver.says
                self.send_header("content-length", str(len(says)))
                self.end_headers()
                self.wfile.write(says)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
                """Nobody reads it."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # The default of 5 drops connections when a deliverer opens many at once.
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """Whoever called has gone: a timeout is what the test is about."""

        self._server = Server(("127.0.0.1", port), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def wait_for(self, number: int) -> None:
        """Return when so many more have come in."""
        for _ in range(number):
            assert self.came.acquire(timeout=PATIENCE), "no notice came"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
