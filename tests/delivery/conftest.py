"""A server that sends mails to a mail server on loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.mails import mailer_of, opened
from tests.support.ports import free_port
from tests.support.world import World


@pytest.fixture
def port() -> int:
    """Where the mail server is, or is to be."""
    return free_port()


@pytest.fixture
def stage(database_url: str, tmp_path: Path, port: int) -> Iterator[World]:
    """A server that sends mails to a mail server on loopback, on each kind of database."""
    url = f"smtp://127.0.0.1:{port}"
    with opened(
        database_url, tmp_path, smtp_url=url, mail_from="Acme Id <id@acme.example>"
    ) as world:
        yield world


@pytest.fixture
def send(stage: World) -> Iterator[Callable[[], None]]:
    """Send what is due."""
    with mailer_of(stage) as mailer:
        yield lambda: stage.portal.call(mailer.run_due)
