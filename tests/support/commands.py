"""The commands of an operator, and what they have noted."""

import subprocess
from collections.abc import Callable

from iam.audit import list_events
from iam.db import Database
from iam.kernel.events import Event

Iam = Callable[..., "subprocess.CompletedProcess[str]"]


def events(database: Database) -> list[Event]:
    """All events, oldest first."""
    return list(reversed(database.read(lambda c: list_events(c, organization=None))))
