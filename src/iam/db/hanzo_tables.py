"""What clients of Hanzo IAM and Casdoor gave us to keep; see `iam.db.tables`, whose page it would make too
long."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, Index, Table, Text

from iam.db.tables import metadata, session_record

legacy_members = Table(
    "legacy_members",
    metadata,
    # Members of an object that mean nothing to us: kept as they came, and given back with it.
    Column("kind", Text, primary_key=True),  # organization | application | user | provider …
    Column("organization", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("members", JSON, nullable=False),
    ForeignKeyConstraint(["organization"], ["organization.name"], ondelete="CASCADE"),
)

added_session_ids = Table(
    "added_session_ids",
    metadata,
    # Session IDs that a client keeps here for itself: they are listed beside ours, and prove nothing.
    Column("organization", Text, primary_key=True),
    Column("user_name", Text, primary_key=True),
    # The user's own organization has it, or it is app-built-in.
    Column("application", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_time", Text, nullable=False),  # the same, as the client wrote it
    Column("ids", JSON, nullable=False),
    ForeignKeyConstraint(
        ["organization", "user_name"],
        ["user_account.organization", "user_account.name"],
        ondelete="CASCADE",
    ),
)

# The order in which lists of records are asked for there.
Index("ix_session_record_listed", session_record.c.organization, session_record.c.created_at)
