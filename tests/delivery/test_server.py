"""The running server delivers by itself, and a crash loses nothing."""

import json
from pathlib import Path
from typing import Any

import httpx2

from tests.support.processes import Server
from tests.support.receiver import Receiver


def test_what_waits_when_a_server_is_killed_is_delivered_after_its_restart(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"IAM_DELIVERY_ALLOW_PRIVATE": "true", "IAM_PASSWORD_MEMORY_KIB": "64"}
    with Receiver() as gone:
        port, url = gone.port, gone.url
    with Server(database_url=database_url, env=settings) as server:
        token = server.command("token").stdout.strip()
        headers = {"authorization": f"Bearer {token}"}
        body: dict[str, Any] = {"organization": None, "event_types": ["organization.created"]}
        made = httpx2.post(f"{server.url}/v1/webhooks", json={**body, "url": url}, headers=headers)
        assert made.status_code == 201, made.text
        acme = {"name": "acme"}
        created = httpx2.post(f"{server.url}/v1/organizations", json=acme, headers=headers)
        assert created.status_code == 201
        server.kill()
    with (
        Receiver(port=port) as receiver,
        Server(database_url=database_url, env=settings),
    ):
        receiver.wait_for(1)
    (notice,) = receiver.notices
    assert json.loads(notice.body)["data"]["organization"] == "acme"
