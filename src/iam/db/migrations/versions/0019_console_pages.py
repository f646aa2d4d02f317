"""Mails that are about no session: links by which people set a password. Brands of organizations."""

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
    op.create_table(
        "brand",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), nullable=True),
        sa.Column("logo", sa.LargeBinary(), nullable=True),
        sa.Column("logo_hash", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"],
            ["organization.name"],
            name="fk_brand_organization",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization", name="pk_brand"),
    )
