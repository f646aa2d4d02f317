"""The browser application of tests/clients/openid/browser, served from an origin of its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.node import CLIENTS

_HERE = CLIENTS / "openid"
_FILES = {
    "/app.mjs": (_HERE / "browser" / "app.mjs", "text/javascript"),
    "/oidc-client-ts.js": (
        _HERE / "node_modules" / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.js",
        "text/javascript",
    ),
}


@contextmanager
def run_browser_application(port: int, config: dict[str, str]) -> Iterator[str]:
    """Serve it on this port with this configuration; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/config.json":
                body, kind = json.dumps(config).encode(), "application/json"
            else:
                file, kind = _FILES.get(path, (_HERE / "browser" / "index.html", "text/html"))
                body = file.read_bytes()
            self.send_response(200)
            self.send_header("content-type", f"{kind}; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
