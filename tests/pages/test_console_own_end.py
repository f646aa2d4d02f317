"""Whoever ends the session they look at the console with is signed out like anybody else."""

import re

import pytest

from iam.delivery.logouts import note_client_session
from iam.directory.applications import Application
from tests.support.people import enter
from tests.support.surfer import Surfer
from tests.support.world import World

FRAME = "https://wiki.acme.example/gone"


@pytest.mark.parametrize("way", ["/console/sessions/end", "/console/sessions/end-record", "chosen"])
def test_the_browser_tells_the_applications_that_only_it_can_tell(
    world: World, alice: Surfer, bob: Surfer, applications: dict[str, Application], way: str
) -> None:
    body = {"frontchannel_logout_uri": FRAME}
    world.patch("/v1/applications/acme/wiki", json=body, headers=world.admin)
    child = enter(world, alice.session_id, "wiki")
    wiki = applications["wiki"].client_id
    world.engine.database.write(
        lambda c: note_client_session(c, child, client_id=wiki, subject="alice")
    )
    enter(world, bob.session_id, "wiki")
    alice.get("/console/sessions")
    if way == "chosen":
        page = alice.submit("/console/ends/chosen", id=alice.session_id)
    else:
        page = alice.submit(
            way,
            id=alice.session_id,
            organization="acme",
            user="alice",
            application="app-built-in",
            confirmed="1",
        )
    assert page.status_code == 200
    assert "You are signed out" in page.text
    (frame,) = re.findall(r'<iframe [^>]*src="([^"]*)"', page.text)
    assert frame.startswith(FRAME)
    assert child in frame
    assert "frame-src https://wiki.acme.example;" in page.headers["content-security-policy"]
    assert "iam" not in alice.cookies
