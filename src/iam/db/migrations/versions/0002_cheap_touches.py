"""Activity no longer moves an index: the sweep looks sessions up by `check_at`."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = (
    "id, secret_hash, organization, user_name, application, parent, instance, created_at, "
    "authenticated_at, last_active_at, idle_timeout, expires_at, ended_at, end_reason, ended_by, "
    "display_name, email, roles, amr, acr, ip, user_agent, device, metadata"
)
_DUE_AT = (
    "CASE WHEN expires_at < last_active_at + idle_timeout * 1000 "
    "THEN expires_at ELSE last_active_at + idle_timeout * 1000 END"
)


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _upgrade_sqlite()
    else:
        op.drop_index("ix_session_due", "session")
        op.add_column("session", sa.Column("check_at", sa.BigInteger(), nullable=True))
        op.execute(f"UPDATE session SET check_at = {_DUE_AT}")  # noqa: S608 - constants
        op.alter_column("session", "check_at", nullable=False)
        op.execute("ALTER TABLE session SET (fillfactor = 85)")
    op.create_index(
        "ix_session_due",
        "session",
        ["check_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def _upgrade_sqlite() -> None:
    """A new table, because the old one has row numbers."""
    op.rename_table("session", "session_0001")
    op.create_table(
        "session",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("instance", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=True),
        sa.Column("last_active_at", sa.BigInteger(), nullable=False),
        sa.Column("idle_timeout", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("check_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("acr", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
        sqlite_with_rowid=False,
    )
    op.execute(
        f"INSERT INTO session ({_COLUMNS}, check_at) "  # noqa: S608 - constants
        f"SELECT {_COLUMNS}, {_DUE_AT} FROM session_0001 ORDER BY id"
    )
    op.drop_table("session_0001")  # and its indexes, whose names are free again
    parent, ended = sa.text("parent IS NOT NULL"), sa.text("ended_at IS NOT NULL")
    op.create_index("ix_session_children", "session", ["parent"], sqlite_where=parent)
    op.create_index("ix_session_ended", "session", ["ended_at"], sqlite_where=ended)
    op.create_index("ix_session_listed", "session", ["organization", "id"])
    op.create_index(
        "ix_session_live",
        "session",
        ["organization", "user_name", "application"],
        sqlite_where=sa.text("ended_at IS NULL"),
    )
