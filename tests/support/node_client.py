"""What the tests of several nodes and of crashes ask of a server: start, end, validate, by HTTP."""

import base64
import http.client
import json
from typing import Any, Self

from tests.support.processes import Server

ADMIN_PASSWORD = "correct horse battery"
FAST = {
    "IAM_ADMIN_PASSWORD": ADMIN_PASSWORD,
    "IAM_PASSWORD_MEMORY_KIB": "64",
    "IAM_PASSWORD_PASSES": "1",
}
"""Settings of servers whose passwords are not what is tested."""


class NodeClient:
    """One connection to one node, for one thread and one `with` block.

    Every call raises ConnectionError when the node is gone.
    """

    def __init__(self, server: Server, credentials: str = "") -> None:
        self.credentials = credentials
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def call(
        self, method: str, path: str, body: object = None, authorization: str | None = None
    ) -> tuple[int, Any]:
        """Send a request; answer the status and what the body says."""
        headers = {
            "authorization": authorization or self.credentials,
            "content-type": "application/json",
        }
        text = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, text, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            raise ConnectionError(str(error)) from error
        return answer.status, json.loads(content) if content else None

    def start(self) -> tuple[str, str]:
        """Start a session; answer its ID and token."""
        status, made = self.call("POST", "/v1/sessions", {"user": "ana"})
        assert status == 201, made
        return made["session"]["id"], made["token"]

    def end(self, session_id: str) -> None:
        """End a session; returns when the node has answered that it has."""
        status, told = self.call("DELETE", f"/v1/sessions/{session_id}")
        assert status == 204, told

    def accepts(self, token: str) -> bool:
        """Whether the node takes the token for that of a live session."""
        status, told = self.call("GET", "/v1/session", authorization=f"Bearer {token}")
        assert status == 200 or (status, told["code"]) == (401, "session_ended"), told
        return status == 200

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def prepare(server: Server) -> str:
    """Make an organization `acme` with a user and an application; answer the latter's credentials."""
    with NodeClient(server) as client:
        status, signed_in = client.call(
            "POST",
            "/v1/sign-in",
            {
                "organization": "built-in",
                "application": "app-built-in",
                "username": "admin",
                "password": ADMIN_PASSWORD,
            },
        )
        assert status == 201, signed_in
        client.credentials = f"Bearer {signed_in['token']}"
        made: dict[str, str] = {}
        for path, what in (
            ("/v1/organizations", {"name": "acme"}),
            ("/v1/users", {"organization": "acme", "name": "ana"}),
            ("/v1/applications", {"organization": "acme", "name": "wiki"}),
        ):
            status, made = client.call("POST", path, what)
            assert status == 201, made
    pair = f"{made['client_id']}:{made['client_secret']}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
