"""The database of the settings, opened for one command."""

from collections.abc import Iterator
from contextlib import contextmanager

from iam.db import Database, open_database
from iam.db.migrate import HEAD, current_revision
from iam.kernel.errors import Unavailable
from iam.settings import Settings, load_settings


class SchemaBehind(Unavailable):
    """The database has not been set up for this version."""

    code = "schema_behind"
    title = (
        "The database is not set up for this version. Run `iam migrate` or start the server once."
    )


@contextmanager
def opened_database() -> Iterator[tuple[Settings, Database]]:
    """Settings and their database, set up for this version.

    Raises:
        SettingsInvalid: the environment is wrong.
        SchemaBehind: neither the server nor `iam migrate` has been there.
        DatabaseUnavailable: it does not answer.
    """
    settings = load_settings()
    database = open_database(settings.database)
    try:
        if database.read(current_revision) != HEAD:
            raise SchemaBehind
        yield settings, database
    finally:
        database.close()
