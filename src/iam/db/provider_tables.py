"""The tables of signing in through others; see `iam.db.tables`, whose page they would make too long."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
)

from iam.db.tables import metadata

provider = Table(
    "provider",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # oidc | oauth2 | saml
    Column("display_name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("options", JSON, nullable=False),  # of its kind
    Column("entity_id", Text),  # what a SAML provider calls itself in its messages
    Column("secret", Text),  # what we are known by there, encrypted (keys.cipher)
    # Whether whoever it knows and we do not becomes a user of ours.
    Column("creates_users", Boolean, nullable=False),
    # Mail domains of which it is believed, so that its people are linked to ours by their address.
    Column("trusted_domains", JSON, nullable=False),
    # What of ours is filled from which claim or attribute of its.
    Column("attributes", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["organization"], ["organization.name"]),
    Index("uq_provider_organization_name", "organization", "name", unique=True),
    Index("ix_provider_entity_id", "entity_id"),
)

provider_link = Table(
    "provider_link",
    metadata,
    # Whom a provider means by a subject: never told by anything else.
    Column("provider", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    ForeignKeyConstraint(["provider"], ["provider.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
    Index("ix_provider_link_user_id", "user_id"),
)

federated_session = Table(
    "federated_session",
    metadata,
    # A session that was born at a provider, and what it is called there. It goes with its session's row.
    Column("session_id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("upstream_session", Text),  # its `sid` or SessionIndex
    Column("amr", JSON, nullable=False),  # as given
    Column("acr", Text),  # the same
    # What of the answer is shown again when signing out there (an ID token, a NameID), encrypted.
    Column("hint", Text),
    # What a SAML provider calls the user in a logout: not always the subject that we know them by.
    Column("name_id", Text),
    ForeignKeyConstraint(["session_id"], ["session.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["provider"], ["provider.id"], ondelete="CASCADE"),
    Index("ix_federated_session_provider_subject", "provider", "subject"),
    Index("ix_federated_session_provider_upstream_session", "provider", "upstream_session"),
    Index("ix_federated_session_provider_name_id", "provider", "name_id"),
)

federation_request = Table(
    "federation_request",
    metadata,
    # Somebody on their way to a provider and back: SHA-256 of the `state` or the request's ID.
    Column("handle_hash", LargeBinary, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    ForeignKeyConstraint(["provider"], ["provider.id"], ondelete="CASCADE"),
)
