"""Organizations that can be switched off, and sessions that can be locked."""

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
    locked = sa.text("ended_at IS NULL AND locked_at IS NOT NULL")
    op.create_index(
        "ix_session_locked",
        "session",
        ["organization", "id"],
        sqlite_where=locked,
        postgresql_where=locked,
    )
