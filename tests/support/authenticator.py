"""An authenticator app in the test's own hands, as a person's phone has one."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import pyotp
from sqlalchemy import Connection

from iam.directory.users import find_user
from iam.signin.factors import add_factor, renew_recovery_codes
from iam.signin.totp import STEP, make_totp_secret
from tests.support.surfer import Surfer
from tests.support.world import PASSWORD, World

PATH = "/account/second-factor"


@dataclass
class Authenticator:
    """An app that has read a secret, and the recovery codes that were shown with it."""

    world: World
    secret: str
    recovery: tuple[str, ...] = ()

    def code(self, steps: int = 0) -> str:
        """What it shows now, or would if its clock were off by some steps."""
        return pyotp.TOTP(self.secret).at(self.world.clock() // 1000 + steps * STEP)

    def next(self) -> str:
        """The next code, once the one that was used has gone."""
        self.world.clock.move(STEP)
        return self.code()


def give_authenticator(world: World, organization: str, user: str) -> Authenticator:
    """Somebody has had an app for a long time: added without pages."""
    engine = world.engine
    secret = make_totp_secret(engine.random)

    def work(connection: Connection) -> tuple[str, ...]:
        who = find_user(connection, organization, user)
        add_factor(
            connection,
            engine.cipher,
            who.id,
            secret,
            step=0,
            now=world.clock(),
            random=engine.random,
        )
        return renew_recovery_codes(connection, who.id, engine.random)

    return Authenticator(world, secret, engine.database.write(work))


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


def enrol(world: World, surfer: Surfer, **fields: str) -> Authenticator:
    """Through the pages, as a person does it."""
    surfer.get(PATH)
    begun = surfer.submit(PATH, do="begin", password=PASSWORD)
    assert begun.status_code == 200, begun.text
    shown = re.search(r'<p class="key">.*?<code>([A-Z2-7 ]+)</code>', begun.text, re.DOTALL)
    assert shown is not None, begun.text
    app = Authenticator(world, shown[1].replace(" ", ""))
    sealed = hidden(begun.text, "sealed")
    done = surfer.submit(PATH, do="confirm", sealed=sealed, code=app.code(), **fields)
    assert done.status_code == 200, done.text
    app.recovery = tuple(re.findall(r"<li><code>([0-9a-z-]+)</code>", done.text))
    return app


CODE_PATH = "/second-factor"


def events_of(world: World, user: str = "bob", **query: str) -> list[dict[str, Any]]:
    """What happened to a user of `acme` with factors and at sign-in."""
    asked = urlencode({"organization": "acme", "user": user, **query})
    found = world.get(f"/v1/events?{asked}", headers=world.admin).json()["items"]
    return [one for one in found if one["type"].startswith(("factor.", "sign_in."))]


def show_code(surfer: Surfer, **fields: str) -> httpx2.Response:
    """Send the form of the page that asks for a code."""
    carried = {
        name: hidden(surfer.page, name)
        for name in ("ticket", "return_to", "application")
        if f'name="{name}"' in surfer.page
    }
    return surfer.submit(CODE_PATH, **{**carried, **fields})
