"""A page that knows nothing of signing in, and nginx in front of it as docs/how-to/nginx.md says."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "nginx.md"


class _Page(BaseHTTPRequestHandler):
    """The page to protect: it shows what it was told."""

    def do_GET(self) -> None:
        told = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"page": self.path, **told}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def run_page() -> Iterator[int]:
    """The page's server; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def documented(*, iam: int, page: int, port: int) -> str:
    """The document's configuration, on the ports of this test and without its certificate."""
    [config] = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    for before, after in (
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{iam};"),
        ("server 127.0.0.1:3000;", f"server 127.0.0.1:{page};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("server_name wiki.example.com;", "server_name wiki.test 127.0.0.1;"),
        ("ssl_certificate     /etc/ssl/wiki.example.com.pem;", ""),
        ("ssl_certificate_key /etc/ssl/wiki.example.com.key;", ""),
    ):
        assert config.count(before) == 1, before
        config = config.replace(before, after)
    return str(config)
