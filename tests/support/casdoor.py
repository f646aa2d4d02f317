"""Casdoor's own clients: how tests call them, and the application that one of them is in."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.support.node import CLIENTS, node

_NODE = CLIENTS / "casdoor"
_PYTHON = CLIENTS / "casdoor-python"
_MODULES = _NODE / "node_modules"
_SCRIPT = "text/javascript"
_PKCE = b"export default window.PKCE"

Calls = Sequence[tuple[str, Sequence[Any] | None]]


def python_sdk(config: dict[str, str], calls: Calls, as_user: str | None = None) -> list[Any]:
    """What came of these calls of the SDK from PyPI: `value` or `error` of each."""
    return _python({"config": config, "calls": calls, "as_user": as_user, "asynchronous": False})


def async_python_sdk(config: dict[str, str], calls: Calls) -> list[Any]:
    """The same of its asynchronous part, which shows its credentials in a header."""
    return _python({"config": config, "calls": calls, "as_user": None, "asynchronous": True})


def sdk_methods() -> dict[str, list[str]]:
    """What the SDKs that are installed have: `python`, `async`, `node`, `browser`."""
    python, asynchronous = _python({"calls": None})
    in_node, browser = _run([str(node()), str(_NODE / "calls.mjs")], {"calls": None})
    return {"python": python, "async": asynchronous, "node": in_node, "browser": browser}


def _python(asked: dict[str, Any]) -> list[Any]:
    folder = "Scripts" if sys.platform == "win32" else "bin"
    return _run([str(_PYTHON / ".venv" / folder / "python"), str(_PYTHON / "calls.py")], asked)


def node_sdk(config: dict[str, str], calls: Calls) -> list[Any]:
    """What came of these calls of the SDK from npm: `status` and `value` of each."""
    return _run([str(node()), str(_NODE / "calls.mjs")], {"config": config, "calls": calls})


def _run(command: list[str], asked: dict[str, Any]) -> list[Any]:
    ran = subprocess.run(
        command,
        input=json.dumps(asked),
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    outcomes: list[Any] = json.loads(ran.stdout)
    return outcomes


_FILES = {
    "/app.mjs": (_NODE / "browser" / "app.mjs", _SCRIPT),
    "/sdk/index.js": (_MODULES / "casdoor-js-sdk" / "lib" / "esm" / "index.js", _SCRIPT),
    "/sdk/sdk": (_MODULES / "casdoor-js-sdk" / "lib" / "esm" / "sdk.js", _SCRIPT),
    "/js-pkce.js": (_MODULES / "js-pkce" / "dist" / "browser.js", _SCRIPT),
    "/jwt-decode/index.js": (_MODULES / "jwt-decode" / "build" / "esm" / "index.js", _SCRIPT),
}


def _redeem(config: dict[str, str], secret: str, code: str) -> dict[str, str]:
    """What the application's back end does at `/api/signin`."""
    form = {
        "grant_type": "authorization_code",
        "client_id": config["clientId"],
        "client_secret": secret,
        "code": code,
    }
    there = f"{config['serverUrl']}/api/login/oauth/access_token"
    answer = httpx2.post(there, data=form, timeout=60).json()
    return {"token": answer["access_token"]} if "access_token" in answer else answer


@contextmanager
def run_casdoor_application(
    port: int, config: dict[str, str], secret: str | None = None
) -> Iterator[str]:
    """The application in tests/clients/casdoor/browser, served on this port; its address.

    Args:
        secret: its own, if it has a back end.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/config.json":
                body, kind = json.dumps(config).encode(), "application/json"
            elif path == "/pkce.mjs":
                body, kind = _PKCE, _SCRIPT
            else:
                file, kind = _FILES.get(path, (_NODE / "browser" / "index.html", "text/html"))
                body = file.read_bytes()
            self._send(body, kind)

        def do_POST(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            found = _redeem(config, secret or "", asked["code"][0])
            self._send(json.dumps(found).encode(), "application/json")

        def _send(self, body: bytes, kind: str) -> None:
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
