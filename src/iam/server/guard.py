"""SQLite serves one server: a second one on the same file is refused at the door."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from iam.kernel.errors import Conflict
from iam.settings import Settings


class AlreadyServing(Conflict):
    """Another server runs on this SQLite file."""

    code = "already_serving"
    title = (
        "Another server runs on this database file. Stop it, or use PostgreSQL for several nodes."
    )


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Hold the database file's lock while serving; it goes with the process, however that ends.

    Raises:
        AlreadyServing: another process holds it.
    """
    if not settings.is_sqlite:
        yield
        return
    path = Path(f"{make_url(settings.database).database}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyServing(str(path)) from error
        yield
