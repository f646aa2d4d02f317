"""SAML: keys that are published before they sign, metadata by address, and what providers call people."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("saml_key", sa.Column("use", sa.Text(), nullable=True))
    op.add_column("saml_key", sa.Column("active_at", sa.BigInteger(), nullable=True))
    op.add_column("saml_key", sa.Column("retires_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE saml_key SET use = 'signing', active_at = created_at")
    with op.batch_alter_table("saml_key") as table:
        table.alter_column("use", existing_type=sa.Text(), nullable=False)
        table.alter_column("active_at", existing_type=sa.BigInteger(), nullable=False)
    op.create_table(
        "saml_source",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("owner", name="pk_saml_source"),
    )
    op.create_index("ix_saml_source_next_at", "saml_source", ["next_at"])
    op.add_column("provider", sa.Column("entity_id", sa.Text(), nullable=True))
    op.create_index("ix_provider_entity_id", "provider", ["entity_id"])
    op.add_column("federated_session", sa.Column("name_id", sa.Text(), nullable=True))
    op.create_index(
        "ix_federated_session_provider_name_id", "federated_session", ["provider", "name_id"]
    )
