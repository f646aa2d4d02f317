"""What clients of Hanzo IAM and Casdoor gave us to keep, and applications that administer."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "legacy_members",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("members", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"],
            ["organization.name"],
            name="fk_legacy_members_organization",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("kind", "organization", "name", name="pk_legacy_members"),
    )
    op.create_table(
        "added_session_ids",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_time", sa.Text(), nullable=False),
        sa.Column("ids", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization", "user_name"],
            ["user_account.organization", "user_account.name"],
            name="fk_added_session_ids_user_account",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "organization", "user_name", "application", name="pk_added_session_ids"
        ),
    )
    op.create_index("ix_session_record_listed", "session_record", ["organization", "created_at"])
    op.add_column(
        "application",
        sa.Column("manages_organization", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
