"""Bringing a database's schema to this version: at start, or by `iam migrate`."""

from sqlalchemy import Connection, inspect, text

from iam.db.engine import Database
from iam.kernel.errors import Unavailable

HEAD = "0022"
"""The revision that this version of the program needs."""

# Any constant of ours: nodes that start together queue here, and all but the first find nothing to do.
_MIGRATION_LOCK = 0x69616D_0001


class SchemaTooNew(Unavailable):
    """The database was written by a newer version of this program."""

    code = "schema_too_new"
    title = "This database belongs to a newer version of Hanzo IAM. Start that version."


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return found


def migrate(database: Database, to: str = "head") -> tuple[str | None, str]:
    """Bring the schema to this version in one transaction; answer (revision before, revision now).

    `to` is an earlier revision only where the way from there is tested.

    Raises:
        SchemaTooNew: the database is at a revision this version does not know.
        DatabaseUnavailable: it does not answer.
    """

    def work(connection: Connection) -> tuple[str | None, str]:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        before = current_revision(connection)
        if before == HEAD:
            return before, HEAD
        _upgrade(connection, before, to)
        return before, current_revision(connection) or HEAD

    return database.write(work)


def _upgrade(connection: Connection, before: str | None, to: str) -> None:
    # Only here: a server whose database is as it should be need not wait for Alembic, nor keep it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "iam:db/migrations")
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    if before is not None and before not in {one.revision for one in scripts.walk_revisions()}:
        raise SchemaTooNew(f"It is at revision {before}.")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
