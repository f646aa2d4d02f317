"""The receiver that the documents show takes what we send, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import httpx2

from iam.kernel.clock import Instant
from iam.server.jobs import make_deliverer
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.world import make_world

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "webhooks.md"


def documented() -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    text: str = block
    return text


def test_the_documented_receiver_takes_a_notice_once_and_refuses_a_forged_one(
    tmp_path: Path,
) -> None:
    port = free_port()
    with make_world(f"sqlite:///{tmp_path / 'iam.db'}", delivery_allow_private=True) as world:
        body = {
            "organization": None,
            "url": f"http://127.0.0.1:{port}/hook",
            "event_types": ["organization.created"],
        }
        webhook = world.post("/v1/webhooks", json=body, headers=world.admin).json()
        env = {"WEBHOOK_SECRET": webhook["secret"], "PORT": str(port)}
        # What it is shown must be recent by its own clock, which is the real one.
        signed_at = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True)
        world.clock.now = Instant(int(signed_at.stdout) * 1000)
        deliverer = make_deliverer(world.engine)
        with Process([sys.executable, "-c", documented()], env=env, name="receiver") as receiver:
            receiver.wait_ready(f"http://127.0.0.1:{port}/", status=501)
            world.make_organization("acme")
            world.portal.call(deliverer.run_due)
            (delivery,) = world.get("/v1/deliveries", headers=world.admin).json()["items"]
            assert (delivery["state"], delivery["last_status"]) == ("delivered", 204)
            world.post(f"/v1/deliveries/{delivery['id']}/redeliver", headers=world.admin)
            world.portal.call(deliverer.run_due)

            forged = {
                "webhook-id": "evt_x",
                "webhook-timestamp": signed_at.stdout.strip(),
                "webhook-signature": "v1,AAAA",
            }
            answer = httpx2.post(f"http://127.0.0.1:{port}/", content=b"{}", headers=forged)
            assert answer.status_code == 401
            lines = [one for one in receiver.logs().splitlines() if one.startswith("org")]
        world.portal.call(deliverer.close)
    assert lines == ["organization.created None"]
