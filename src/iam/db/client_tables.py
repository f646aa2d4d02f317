"""The tables of what applications know of people: see `tables` for how they are written."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, Table, Text

from iam.db.tables import metadata

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

consent = Table(
    "consent",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("client_id", Text, primary_key=True),
    Column("scopes", JSON, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["client_id"], ["application.client_id"], ondelete="CASCADE"),
)
