"""The tables of SAML; see `iam.db.tables`, whose page they would make too long."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)

from iam.db.tables import metadata

saml_key = Table(
    "saml_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("private_key", Text, nullable=False),  # PEM, PKCS #8, encrypted (keys.cipher)
    Column("certificate", Text, nullable=False),  # PEM, self-signed: what providers know us by
    Column("created_at", BigInteger, nullable=False),
    Column("use", Text, nullable=False),  # signing | encryption
    # Published from the commit on, it signs from here on; until `retires_at` (null: still in use) what
    # was signed with it is believed, and what was encrypted for it can be read.
    Column("active_at", BigInteger, nullable=False),
    Column("retires_at", BigInteger),
)

saml_source = Table(
    "saml_source",
    metadata,
    # Where metadata is fetched from again and again: of a service provider (`saml_provider`) or an
    # identity provider (`provider`), by its ID. A row whose owner is gone goes with the next look.
    Column("owner", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("signer", Text),  # PEM: who must have signed it; null: the connection's own word counts
    Column("fetched_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False, index=True),
    Column("failed", Text),  # what went wrong since `fetched_at`
)

saml_provider = Table(
    "saml_provider",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("document", Text, nullable=False),  # its metadata, as it was uploaded
    Column("options", JSON, nullable=False),
    # Where it is told of ends: looked up in the statement that writes events (`audit.outbox`).
    Column("soap_logout_url", Text),
    Column("pairwise_key", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["organization", "application"],
        ["application.organization", "application.name"],
        ondelete="CASCADE",
    ),
    Index("uq_saml_provider_application", "organization", "application", unique=True),
    Index("uq_saml_provider_entity_id", "entity_id", unique=True),
)

saml_session = Table(
    "saml_session",
    metadata,
    # A session whose ID a provider was given as SessionIndex, and the name it knows the user by. It goes
    # with its session's row.
    Column("session_id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("name_id", Text, nullable=False),
    Column("name_id_format", Text, nullable=False),
    ForeignKeyConstraint(["session_id"], ["session.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["provider"], ["saml_provider.id"], ondelete="CASCADE"),
    Index("ix_saml_session_provider_name_id", "provider", "name_id"),
)

saml_message = Table(
    "saml_message",
    metadata,
    # Every message that was accepted, until its sender could not send it again (replay); of a request
    # that is still to be answered also what it asked for.
    Column("sender", Text, primary_key=True),  # its entityID
    Column("message_id", Text, primary_key=True),
    Column("handle_hash", LargeBinary),  # SHA-256 of what leads back to it from sign-in
    Column("payload", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("ix_saml_message_expires_at", "expires_at"),
    Index(
        "uq_saml_message_handle_hash",
        "handle_hash",
        unique=True,
        postgresql_where=text("handle_hash IS NOT NULL"),
        sqlite_where=text("handle_hash IS NOT NULL"),
    ),
)
