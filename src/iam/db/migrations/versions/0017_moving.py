"""Moving in: what came from where, so that a second run finds nothing to do."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "moved_in",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"],
            ["organization.name"],
            name="fk_moved_in_organization",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("kind", "source", name="pk_moved_in"),
    )
    op.create_index("ix_moved_in_organization", "moved_in", ["organization"])
