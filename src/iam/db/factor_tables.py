"""The tables of second factors; see `iam.db.tables`, whose page they would make too long."""

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, LargeBinary, Table, Text

from iam.db.tables import metadata

second_factor = Table(
    "second_factor",
    metadata,
    # The user's ID, not their name: who gets the name after them starts without one.
    Column("user_id", Text, primary_key=True),
    # Another one for every enrolment: what was proved with a factor that is gone proves nothing.
    Column("id", Text, nullable=False),
    Column("secret", Text, nullable=False),  # base32, encrypted (keys.cipher)
    # The time step of the last code that was taken: no code counts twice (RFC 6238 §5.2).
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("user_id", Text, primary_key=True),
    # SHA-256: 80 random bits are nothing to guess.
    Column("code_hash", LargeBinary, primary_key=True),
    Column("used_at", BigInteger),
    ForeignKeyConstraint(["user_id"], ["second_factor.user_id"], ondelete="CASCADE"),
)

enrolment = Table(
    "enrolment",
    metadata,
    # A factor that a client sets up in several calls. One for each user: a new one takes its place.
    Column("user_id", Text, primary_key=True),
    Column("begun_by", Text, nullable=False),  # who goes on: nobody else
    Column("sealed", Text, nullable=False),  # the secret and the recovery codes, encrypted
    Column("begun_at", BigInteger, nullable=False),
    Column("step", BigInteger),  # the time step of the code that has shown that the app works
    ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
)
