"""Mails that are about no session: links by which people set a password."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("mail") as table:
        table.add_column(sa.Column("kind", sa.Text(), nullable=False, server_default="device"))
        table.alter_column("session_id", existing_type=sa.Text(), nullable=True)
        table.alter_column("device_hash", existing_type=sa.LargeBinary(), nullable=True)
    # Whoever writes a mail says what it is about.
    with op.batch_alter_table("mail") as table:
        table.alter_column("kind", existing_type=sa.Text(), server_default=None)
