"""A server that sends mails, and what came of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iam.delivery.mailer import Mailer
from iam.server.jobs import make_mailer
from tests.support.mail_server import Taken
from tests.support.surfer import FIREFOX, Surfer
from tests.support.world import World, make_world

ATTEMPTS = 3


@contextmanager
def opened(url: str, folder: Path, **settings: Any) -> Iterator[World]:
    """A server with `acme`, its user ann who has an address, and bo who has none."""
    with make_world(
        url,
        data_dir=folder / "data",
        delivery_attempts=ATTEMPTS,
        delivery_timeout=30,
        delivery_allow_private=True,
        event_retention=0,
        **settings,
    ) as world:
        world.make_organization("acme", display_name="Acme Corporation")
        world.make_user("acme", "ann", email="ann@acme.example", display_name="Ann Lee")
        world.make_user("acme", "bo")
        yield world


@contextmanager
def mailer_of(world: World) -> Iterator[Mailer]:
    made = make_mailer(world.engine)
    try:
        yield made
    finally:
        world.portal.call(made.close)


def browser(world: World, user: str, agent: str = FIREFOX) -> Surfer:
    """A browser that has never been here, in which this user signs in."""
    surfer = Surfer(world, agent)
    assert surfer.sign_in("acme", user).status_code == 303
    return surfer


def events(world: World, type_: str) -> list[dict[str, Any]]:
    answer = world.get(f"/v1/events?type={type_}&organization=acme&limit=200", headers=world.admin)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def mails(world: World, query: str = "") -> list[dict[str, Any]]:
    answer = world.get(f"/v1/mails?organization=acme{query}", headers=world.admin)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def link_in(mail: Taken) -> str:
    (link,) = re.findall(r"^http\S+", mail.text, re.MULTILINE)
    return str(link)
