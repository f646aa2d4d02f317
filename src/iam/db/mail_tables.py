"""The tables of known devices and of mails; otherwise as in `iam.db.tables`."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from iam.db.tables import metadata

known_device = Table(
    "known_device",
    metadata,
    # The user's ID, not their name: who gets the name after them has no device yet.
    Column("user_id", Text, primary_key=True),
    # SHA-256 of what the device shows: enough to tell it again, nothing to show in its place.
    Column("device_hash", LargeBinary, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False, index=True),
    # Its user said that it is not theirs. The row stays: who has one is no new user.
    Column("disowned_at", BigInteger),
    ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
)

_PENDING = text("state = 'pending'")

mail = Table(
    "mail",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # device | invitation | reset
    # Of a new device: the session that it is about; there is one mail for each at most.
    Column("session_id", Text),
    Column("device_hash", LargeBinary),
    # As it was then: who took over an account must not have the mail go to an address of theirs.
    Column("recipient", Text, nullable=False),
    Column("content", JSON, nullable=False),
    Column("state", Text, nullable=False),  # pending | delivered | dead
    Column("attempts", Integer, nullable=False),
    # When it is due; while it is under way, the lease.
    Column("next_at", BigInteger, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("delivered_at", BigInteger),
    Column("link_expires_at", BigInteger, nullable=False),
    Column("link_used_at", BigInteger),
    ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
    Index("uq_mail_session_id", "session_id", unique=True),
    Index("ix_mail_user_id_created_at", "user_id", "created_at"),
    Index("ix_mail_organization_id", "organization", "id"),
    Index("ix_mail_due", "next_at", postgresql_where=_PENDING, sqlite_where=_PENDING),
)
