"""The tables of OAuth: tokens that are kept, and what is good once.

What is secret in them is hashed, and what belongs to a session goes with its row.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from iam.db.tables import metadata

refresh_token = Table(
    "refresh_token",
    metadata,
    # A family: one token at a time is good, and each use puts the next in its place.
    Column("id", Text, primary_key=True),
    # It lives exactly as long as its session, and its row goes with the session's.
    Column("session_id", Text, nullable=False, index=True),
    Column("client_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("audience", JSON, nullable=False),
    # The thumbprint of the key that every use has to prove (DPoP); null where none is bound.
    Column("jkt", Text),
    Column("proof_hash", LargeBinary, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    # The one before, and the salt that makes its successor out of it once more.
    Column("former_hash", LargeBinary),
    Column("salt", LargeBinary),
    # Which claims were asked for one by one: {"userinfo": [...], "id_token": [...]}; null if none was.
    Column("claims", JSON(none_as_null=True)),
    Column("created_at", BigInteger, nullable=False),
    Column("rotated_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["session_id"], ["session.id"], ondelete="CASCADE"),
)

access_token = Table(
    "access_token",
    metadata,
    # Opaque ones; of those that are JWTs nothing is kept.
    Column("id", Text, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    # Null: an application's own, without a user.
    Column("session_id", Text, index=True),
    Column("client_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("audience", JSON, nullable=False),
    Column("jkt", Text),
    # Who acts for the subject, after a token exchange.
    Column("act", JSON(none_as_null=True)),
    # Which claims userinfo says besides those of the scope; null if none.
    Column("claims", JSON(none_as_null=True)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    ForeignKeyConstraint(["session_id"], ["session.id"], ondelete="CASCADE"),
)

spent = Table(
    "spent",
    metadata,
    # What is good once and has been used, or is good no more: the SHA-256 of its kind, owner and name.
    Column("key", LargeBinary, primary_key=True),
    # After that nobody would take it anyway.
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

pushed_request = Table(
    "pushed_request",
    metadata,
    Column("uri_hash", LargeBinary, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

device_request = Table(
    "device_request",
    metadata,
    Column("device_hash", LargeBinary, primary_key=True),
    Column("user_code_hash", LargeBinary, nullable=False, unique=True),
    Column("client_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("audience", JSON, nullable=False),
    Column("ip", Text),
    Column("user_agent", Text),
    Column("state", Text, nullable=False),  # pending | approved | denied
    # Of whoever approved it.
    Column("browser_session", Text),
    # How often the device may ask, in seconds, and when it last did.
    Column("poll_interval", Integer, nullable=False),
    Column("polled_at", BigInteger),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

registration_token = Table(
    "registration_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("organization", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("uses_left", Integer, nullable=False),
    ForeignKeyConstraint(["organization"], ["organization.name"], ondelete="CASCADE"),
)

client_registration = Table(
    "client_registration",
    metadata,
    # An application that registered itself, and what it manages itself with.
    Column("organization", Text, primary_key=True),
    Column("application", Text, primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["organization", "application"],
        ["application.organization", "application.name"],
        ondelete="CASCADE",
    ),
)
