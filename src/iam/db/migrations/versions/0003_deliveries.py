"""The outbox of notices and its receivers, and what the live feed follows."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("event_types", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"],
            ["organization.name"],
            name="fk_webhook_organization",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook"),
    )
    op.create_table(
        "delivery",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_delivery"),
    )
    op.create_index("uq_delivery_id", "delivery", ["id"], unique=True)
    op.create_index("ix_delivery_created_at", "delivery", ["created_at"])
    op.create_index("ix_delivery_webhook_seq", "delivery", ["webhook", "seq"])
    pending = sa.text("state = 'pending'")
    for name, columns in (
        ("ix_delivery_due", ["webhook", "next_at"]),
        ("ix_delivery_lane", ["webhook", "session_id", "seq"]),
    ):
        op.create_index(name, "delivery", columns, postgresql_where=pending, sqlite_where=pending)
    op.add_column("event", sa.Column("txid", sa.BigInteger(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        # Not with the column: every event that is there would be written anew, with this transaction's.
        op.execute(
            "ALTER TABLE event ALTER COLUMN txid SET DEFAULT pg_current_xact_id()::text::bigint"
        )
    written = sa.text("txid IS NOT NULL")
    op.create_index(
        "ix_event_txid_id",
        "event",
        ["txid", "id"],
        postgresql_where=written,
        sqlite_where=written,
    )
