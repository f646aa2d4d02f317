"""The table of what moved in; see `iam.db.tables`, whose page it would make too long."""

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, LargeBinary, Table, Text

from iam.db.tables import metadata

moved_in = Table(
    "moved_in",
    metadata,
    Column("kind", Text, primary_key=True),  # organization | application | provider | user | cert
    Column("source", Text, primary_key=True),  # what it is called where it came from
    Column("organization", Text),
    Column("name", Text, nullable=False),  # what it was called here at first
    # SHA-256 of what was taken over: whether it has changed there since.
    Column("digest", LargeBinary, nullable=False),
    Column("moved_at", BigInteger, nullable=False),
    # Who deletes an organization can have it move in again; who deletes a user does not want them back.
    ForeignKeyConstraint(["organization"], ["organization.name"], ondelete="CASCADE"),
    Index("ix_moved_in_organization", "organization"),
)
