"""The short way through the server gives the answers of the long one."""

import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.processes import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('protocol') / 'iam.db'}"
    cheap = {"IAM_PASSWORD_MEMORY_KIB": "64", "IAM_PASSWORD_PASSES": "1"}
    with Server(database_url=url, env=cheap) as server:
        yield server


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """A session of an application on `wiki.test`."""
    bearer = server.command("token").stdout.splitlines()[-1]
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {bearer}"}) as admin:
        body: dict[str, object] = {"name": "acme"}
        assert admin.post("/v1/organizations", json=body).status_code == 201
        body = {"organization": "acme", "name": "alice", "password": "open sesame 1"}
        assert admin.post("/v1/users", json=body).status_code == 201
        body = {"organization": "acme", "name": "wiki", "gate_hosts": ["wiki.test"]}
        assert admin.post("/v1/applications", json=body).status_code == 201
        body = {
            "organization": "acme",
            "application": "wiki",
            "username": "alice",
            "password": "open sesame 1",
        }
        return str(admin.post("/v1/sign-in", json=body).json()["token"])


def request(
    token: str, *more: str, method: str = "GET", path: str = "/gate/nginx", version: str = "1.1"
) -> bytes:
    lines = [
        f"{method} {path} HTTP/{version}",
        "Host: iam.test",
        "X-Forwarded-Host: wiki.test",
        f"Cookie: iam-app={token}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Wire:
    """A connection, byte by byte."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.file = self.socket.makefile("rb")

    def send(self, *requests: bytes) -> None:
        self.socket.sendall(b"".join(requests))

    def receive(self, *, with_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """The next response; `date` is left out."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        headers.pop("date")
        body = self.file.read(int(headers.get("content-length", "0"))) if with_body else b""
        return status, headers, body

    def ended(self) -> bool:
        return self.file.read(1) == b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    wire = Wire(server)
    yield wire
    wire.close()


@pytest.mark.parametrize("path", ["/gate/nginx", "/gate/check"])
def test_both_ways_give_the_same_answer(wire: Wire, token: str, path: str) -> None:
    statuses = []
    for presented in (token, "nonsense", token[:-1] + ("A" if token[-1] != "A" else "Q")):
        wire.send(request(presented, path=path))
        short = wire.receive()
        wire.send(request(presented, "Content-Length: 0", path=path))
        long = wire.receive()
        assert short == long
        wire.send(request(presented, method="HEAD", path=path))
        assert wire.receive(with_body=False)[:2] == short[:2]
        statuses.append(short[0])
    assert statuses == [200, 401, 401]


def test_other_addresses_are_not_taken_for_the_gate(wire: Wire, token: str) -> None:
    for path, status in (("/gate/nginx/", 404), ("/gate", 404), ("/healthz", 200)):
        wire.send(request(token, path=path))
        assert wire.receive()[0] == status
    wire.send(request(token, path="/gate/nginx?x=1"))
    assert wire.receive()[0] == 200


def test_requests_sent_in_one_piece_are_answered_in_their_order(wire: Wire, token: str) -> None:
    wire.send(
        request(token),
        request("nonsense"),
        request(token, path="/healthz"),
        request(token, path="/gate/check"),
        request(token),
    )
    answers = [wire.receive() for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 401, 200, 200, 200]
    assert b'"alice"' in answers[3][2]
    wire.send(request(token))
    assert wire.receive()[0] == 200


def test_a_connection_is_closed_when_the_client_asks_for_it(server: Server, token: str) -> None:
    for one in (
        request(token, "Connection: close"),
        request(token, "connection:CLOSE"),
        request(token, version="1.0"),
    ):
        wire = Wire(server)
        wire.send(one)
        status, headers, _ = wire.receive()
        assert (status, headers["connection"]) == (200, "close")
        assert wire.ended()
        wire.close()


def test_a_request_that_comes_in_drops_is_answered(wire: Wire, token: str) -> None:
    for byte in request(token):
        wire.send(bytes([byte]))
    assert wire.receive()[0] == 200


def test_a_body_is_read_past(wire: Wire, token: str) -> None:
    wire.send(request(token, "Content-Length: 5"), b"hello")
    assert wire.receive()[0] == 200
    wire.send(request(token, "Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n\r\n")
    assert wire.receive()[0] == 200
    wire.send(request(token))
    assert wire.receive()[0] == 200


def test_a_client_that_leaves_harms_nobody(server: Server, wire: Wire, token: str) -> None:
    for _ in range(50):
        other = Wire(server)
        other.send(request(token))
        other.close()
    wire.send(request(token))
    assert wire.receive()[0] == 200
    assert "Traceback" not in server.logs()


@pytest.mark.parametrize(
    "line",
    [
        b"Cookie: iam-app=" + b"x" * 20_000,
        b"Authorization: Bearer \xff\xfe",
        b"Cookie: \xe9\x80=\x01; iam-app=",
        b"X-Forwarded-Host: \xff",
        b"X-Forwarded-Uri: /" + b"\xff" * 3000,
    ],
)
def test_hostile_headers_are_refused_and_nothing_breaks(
    server: Server, wire: Wire, token: str, line: bytes
) -> None:
    wire.send(b"GET /gate/nginx HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: wiki.test\r\n" + line)
    wire.send(b"\r\n\r\n")
    assert wire.receive()[0] in (400, 401, 403)
    assert "Traceback" not in server.logs()
