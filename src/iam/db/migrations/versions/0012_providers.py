"""Signing in through others: providers, whom they know, the sessions that were born there."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("creates_users", sa.Boolean(), nullable=False),
        sa.Column("trusted_domains", sa.JSON(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"], ["organization.name"], name="fk_provider_organization"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_provider"),
    )
    op.create_index(
        "uq_provider_organization_name", "provider", ["organization", "name"], unique=True
    )
    op.create_table(
        "provider_link",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider"], ["provider.id"], name="fk_provider_link_provider", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name="fk_provider_link_user_account",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_provider_link"),
    )
    op.create_index("ix_provider_link_user_id", "provider_link", ["user_id"])
    op.create_table(
        "federated_session",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("upstream_session", sa.Text(), nullable=True),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("acr", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name="fk_federated_session_session", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["provider"], ["provider.id"], name="fk_federated_session_provider", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_federated_session"),
    )
    op.create_index(
        "ix_federated_session_provider_subject", "federated_session", ["provider", "subject"]
    )
    op.create_index(
        "ix_federated_session_provider_upstream_session",
        "federated_session",
        ["provider", "upstream_session"],
    )
    op.create_table(
        "federation_request",
        sa.Column("handle_hash", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider"],
            ["provider.id"],
            name="fk_federation_request_provider",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("handle_hash", name="pk_federation_request"),
    )
    op.create_index("ix_federation_request_expires_at", "federation_request", ["expires_at"])
