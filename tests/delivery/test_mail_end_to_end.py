"""From the sign-in to the end by the link, with a running server, a crash and the command line."""

import re
import time
from typing import Any

import httpx2

from tests.support.mail_server import MailServer
from tests.support.ports import free_port
from tests.support.processes import Server
from tests.support.receiver import PATIENCE
from tests.support.world import PASSWORD


def _sign_in(server: Server, agent: str) -> str:
    body = {"organization": "acme", "username": "ann", "password": PASSWORD}
    headers = {"user-agent": agent}
    answer = httpx2.post(
        f"{server.url}/v1/sign-in", json={**body, "application": "app-built-in"}, headers=headers
    )
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


def _status(server: Server, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return int(httpx2.get(f"{server.url}/v1/session", headers=headers).status_code)


def _wait_until(server: Server, words: str, *arguments: str) -> str:
    """What `iam mails list` says, as soon as it says these words."""
    deadline = time.monotonic() + PATIENCE
    while True:
        listed = server.command("mails", "list", *arguments).stdout
        if re.search(words, listed):
            return listed
        assert time.monotonic() < deadline, listed


def test_a_mail_survives_a_crash_and_its_link_ends_the_session(database_url: str) -> None:
    port = free_port()
    settings = {
        "IAM_SMTP_URL": f"smtp://iam:hunter22@127.0.0.1:{port}",
        "IAM_MAIL_FROM": "Acme Id <id@acme.example>",
        "IAM_PASSWORD_MEMORY_KIB": "64",
    }
    login = ("iam", "hunter22")
    with Server(database_url=database_url, env=settings) as server:
        issuer = server.url
        headers = {"authorization": f"Bearer {server.command('token').stdout.strip()}"}
        user: dict[str, Any] = {"organization": "acme", "name": "ann", "password": PASSWORD}
        for path, body in (
            ("organizations", {"name": "acme"}),
            ("users", {**user, "email": "ann@acme.example"}),
        ):
            made = httpx2.post(f"{server.url}/v1/{path}", json=body, headers=headers)
            assert made.status_code == 201, made.text
        own, other = _sign_in(server, "curl/8.9"), _sign_in(server, "python-requests/2.32")
        _wait_until(server, "ConnectionRefusedError", "--state", "pending")
        server.kill()
    with (
        MailServer(port=port, login=login) as mail_server,
        Server(database_url=database_url, env={**settings, "IAM_ISSUER": issuer}) as server,
    ):
        listed = _wait_until(server, "delivered")
        (mail,) = mail_server.mails
        (link,) = re.findall(r"^http\S+", mail.text, re.MULTILINE)
        assert link.startswith(f"{issuer}/sign-out/device?t=")
        path = link.removeprefix(issuer)
        assert httpx2.get(server.url + path).status_code == 200
        assert _status(server, other) == 200
        form = {"t": path.partition("t=")[2]}
        assert httpx2.post(f"{server.url}/sign-out/device", data=form).status_code == 200
        assert (_status(server, own), _status(server, other)) == (200, 401)
        (mail_id,) = set(re.findall(r"eml_\w{26}", listed))
        again = server.command("mails", "resend", mail_id)
        assert (again.returncode, again.stdout) == (1, "")
        assert "no longer works" in again.stderr
        doctor = server.command("doctor").stdout
        assert f"ok    mail: 127.0.0.1:{port}, no TLS: it is this machine, from id@" in doctor
        assert server.command("mails", "list", "--state", "lost").returncode == 1
        for output in (doctor, listed, server.logs()):
            assert "hunter22" not in output
            assert form["t"] not in output


def test_an_operator_sends_a_mail_again(database_url: str) -> None:
    port = free_port()
    settings = {
        "IAM_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "IAM_MAIL_FROM": "id@acme.example",
        "IAM_PASSWORD_MEMORY_KIB": "64",
        "IAM_DELIVERY_ATTEMPTS": "1",
    }
    with Server(database_url=database_url, env=settings) as server:
        assert server.command("org", "create", "acme").returncode == 0
        headers = {"authorization": f"Bearer {server.command('token').stdout.strip()}"}
        user = {"organization": "acme", "name": "ann", "password": PASSWORD}
        body = {**user, "email": "ann@acme.example"}
        made = httpx2.post(f"{server.url}/v1/users", json=body, headers=headers)
        assert made.status_code == 201, made.text
        _sign_in(server, "curl/8.9")
        _sign_in(server, "python-requests/2.32")
        listed = _wait_until(server, "dead", "--state", "dead", "--organization", "acme")
        (mail_id,) = set(re.findall(r"eml_\w{26}", listed))
        with MailServer(port=port) as mail_server:
            again = server.command("mails", "resend", mail_id)
            assert again.stdout == f"Mail {mail_id} goes out again.\n"
            _wait_until(server, "delivered")
            assert len(mail_server.mails) == 1
        assert server.command("mails", "resend", "eml_" + "0" * 26).returncode == 1
