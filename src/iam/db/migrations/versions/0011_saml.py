"""SAML: service providers, the key they know us by, what they know of sessions, messages they sent."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saml_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_saml_key"),
    )
    op.create_table(
        "saml_provider",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("soap_logout_url", sa.Text(), nullable=True),
        sa.Column("pairwise_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization", "application"],
            ["application.organization", "application.name"],
            name="fk_saml_provider_application",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_saml_provider"),
    )
    op.create_index(
        "uq_saml_provider_application",
        "saml_provider",
        ["organization", "application"],
        unique=True,
    )
    op.create_index("uq_saml_provider_entity_id", "saml_provider", ["entity_id"], unique=True)
    op.create_table(
        "saml_session",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("name_id", sa.Text(), nullable=False),
        sa.Column("name_id_format", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name="fk_saml_session_session", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["provider"],
            ["saml_provider.id"],
            name="fk_saml_session_saml_provider",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_saml_session"),
    )
    op.create_index("ix_saml_session_provider_name_id", "saml_session", ["provider", "name_id"])
    op.create_table(
        "saml_message",
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sender", "message_id", name="pk_saml_message"),
    )
    op.create_index("ix_saml_message_expires_at", "saml_message", ["expires_at"])
    there = sa.text("handle_hash IS NOT NULL")
    op.create_index(
        "uq_saml_message_handle_hash",
        "saml_message",
        ["handle_hash"],
        unique=True,
        sqlite_where=there,
        postgresql_where=there,
    )
