"""The table of brands; otherwise as in `iam.db.tables`. Apart from organizations: what is read with each
request shall not carry a picture."""

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, LargeBinary, Table, Text

from iam.db.tables import metadata

brand = Table(
    "brand",
    metadata,
    Column("organization", Text, primary_key=True),
    Column("colour", Text),  # #rrggbb
    Column("logo", LargeBinary),  # PNG
    Column("logo_hash", Text),
    Column("updated_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["organization"], ["organization.name"], ondelete="CASCADE"),
)
