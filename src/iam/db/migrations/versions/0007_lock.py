"""Organizations that can be switched off, sessions that can be locked, and the ended ones of all."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "organization",
        sa.Column("enabled", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.add_column("session", sa.Column("locked_at", sa.BigInteger(), nullable=True))
    _create_index("locked", ["organization", "id"], "ended_at IS NULL AND locked_at IS NOT NULL")
    _create_index("live_all", ["id"], "ended_at IS NULL")
    _create_index("ended_all", ["id"], "ended_at IS NOT NULL")


def _create_index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        f"ix_session_{name}",
        "session",
        columns,
        sqlite_where=condition,
        postgresql_where=condition,
    )
