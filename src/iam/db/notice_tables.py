"""The tables about who is told of what; otherwise as in `iam.db.tables`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from iam.db.tables import application, metadata

client_session = Table(
    "client_session",
    metadata,
    # A session whose ID a client was given as `sid`: it is told when the session ends. It goes with its
    # session's row.
    Column("session_id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    ForeignKeyConstraint(["session_id"], ["session.id"], ondelete="CASCADE"),
)

webhook = Table(
    "webhook",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization", Text),  # null: the whole installation's
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # as it is: every notice is signed with it
    # `,session.ended,user.updated,` or `,*,`: looked through with a plain text function in the
    # statement that writes events, the same on both databases.
    Column("event_types", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["organization"], ["organization.name"], ondelete="CASCADE"),
)

delivery = Table(
    "delivery",
    metadata,
    # The order in which the notices of one session were written: whoever writes one holds its row.
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("id", Text, nullable=False),
    # The receiver: a webhook by its ID, or an application by its client ID, which is told of ends
    # (back-channel logout). No foreign key: each event would lock its row, and all of them queue there.
    Column("webhook", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("session_id", Text),
    Column("state", Text, nullable=False),  # pending | delivered | dead
    Column("attempts", Integer, nullable=False),
    Column(
        "next_at", BigInteger, nullable=False
    ),  # when it is due; while it is under way, the lease
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Index("uq_delivery_id", "id", unique=True),
    Index("ix_delivery_created_at", "created_at"),
    Index("ix_delivery_webhook_seq", "webhook", "seq"),
)

_TOLD = text("backchannel_logout_uri IS NOT NULL")
Index(
    "ix_application_told",
    application.c.client_id,
    postgresql_where=_TOLD,
    sqlite_where=_TOLD,
)

_PENDING = text("state = 'pending'")
for _index in (
    Index(
        "ix_delivery_due",
        delivery.c.webhook,
        delivery.c.next_at,
        postgresql_where=_PENDING,
        sqlite_where=_PENDING,
    ),
    # What of the same session is still to go out before.
    Index(
        "ix_delivery_lane",
        delivery.c.webhook,
        delivery.c.session_id,
        delivery.c.seq,
        postgresql_where=_PENDING,
        sqlite_where=_PENDING,
    ),
):
    pass
