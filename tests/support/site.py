"""A page that knows nothing of signing in, and what docs/how-to has in front of it."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


class _Page(BaseHTTPRequestHandler):
    """The page to protect: it shows what it was told."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        told = {name.lower(): value for name, value in self.headers.items()}
        told = {"page": self.path, "method": self.command, **told}
        self.server.seen.append(told)  # type: ignore[attr-defined] # set where the server is made
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def run_page(seen: list[dict[str, str]] | None = None) -> Iterator[int]:
    """The page's server; its port. What it was told at each request goes into `seen`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.seen = [] if seen is None else seen  # type: ignore[attr-defined] # ours, for the handler
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def documented(*, iam: int, page: int, port: int) -> str:
    """nginx's configuration in its document, on the ports of this test and without its certificate."""
    return _adapted(
        code_of("nginx.md", "nginx"),
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{iam};"),
        ("server 127.0.0.1:3000;", f"server 127.0.0.1:{page};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("server_name wiki.example.com;", "server_name wiki.test 127.0.0.1;"),
        ("ssl_certificate     /etc/ssl/wiki.example.com.pem;", ""),
        ("ssl_certificate_key /etc/ssl/wiki.example.com.key;", ""),
    )


def documented_caddyfile(*, iam: int, page: int, port: int) -> str:
    """Caddy's, likewise."""
    sites = f"http://wiki.test:{port}, http://127.0.0.1:{port}"
    return _adapted(
        code_of("caddy.md", "caddyfile"),
        ("reverse_proxy 127.0.0.1:8000", f"reverse_proxy 127.0.0.1:{iam}"),
        ("forward_auth 127.0.0.1:8000", f"forward_auth 127.0.0.1:{iam}"),
        ("reverse_proxy 127.0.0.1:3000", f"reverse_proxy 127.0.0.1:{page}"),
        ("wiki.example.com {", f"{sites} {{\n\tbind 127.0.0.1"),
    )


def code_of(document: str, language: str) -> str:
    """The one block of this language in a document of docs/how-to."""
    [code] = re.findall(rf"```{language}\n(.*?)```", (HOW_TO / document).read_text(), re.DOTALL)
    return str(code)


def _adapted(config: str, *changes: tuple[str, str]) -> str:
    for before, after in changes:
        assert config.count(before) == 1, before
        config = config.replace(before, after)
    return config
