"""Bringing a database's schema to this version: at start, or by `iam migrate`."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from iam.db.engine import Database
from iam.kernel.errors import Unavailable

# Any constant of ours: nodes that start together queue here, and all but the first find nothing to do.
_MIGRATION_LOCK = 0x69616D_0001


class SchemaTooNew(Unavailable):
    """The database was written by a newer version of this program."""

    code = "schema_too_new"
    title = "This database belongs to a newer version of Hanzo IAM. Start that version."


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "iam:db/migrations")
    config.set_main_option("path_separator", "os")
    return config


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at, None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """The revision that this version of the program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return str(head)  # the package ships at least one migration


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
        before, head = current_revision(connection), head_revision()
        if before == head:
            return before, head
        known = {
            script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()
        }
        if before is not None and before not in known:
            raise SchemaTooNew(f"It is at revision {before}.")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        return before, current_revision(connection) or head

    return database.write(work)
