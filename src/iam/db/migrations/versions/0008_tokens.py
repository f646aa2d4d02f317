"""Tokens that are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refresh_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("jkt", sa.Text(), nullable=True),
        sa.Column("proof_hash", sa.LargeBinary(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("former_hash", sa.LargeBinary(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_token"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name="fk_refresh_token_session", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_refresh_token_session_id", "refresh_token", ["session_id"])
    op.create_table(
        "spent",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_spent"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_spent_expires_at", "spent", ["expires_at"])
    op.add_column("application", sa.Column("token_endpoint_auth_method", sa.Text()))
    op.add_column("application", sa.Column("jwks", sa.JSON()))
    op.execute(
        "UPDATE application SET token_endpoint_auth_method = 'none' WHERE secret_hash IS NULL"
    )
    op.add_column(
        "application",
        sa.Column(
            "id_token_signed_response_alg",
            sa.Text(),
            nullable=False,
            server_default=sa.text("'RS256'"),
        ),
    )
    op.add_column(
        "signing_key",
        sa.Column("active_at", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column(
        "application",
        sa.Column(
            "access_token_format", sa.Text(), nullable=False, server_default=sa.text("'jwt'")
        ),
    )
    op.add_column(
        "application",
        sa.Column("resources", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
    )
    op.create_table(
        "access_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("jkt", sa.Text(), nullable=True),
        sa.Column("act", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name="fk_access_token_session", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_access_token_session_id", "access_token", ["session_id"])
    op.create_index("ix_access_token_expires_at", "access_token", ["expires_at"])
    op.add_column(
        "application",
        sa.Column(
            "require_pushed_authorization_requests",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
        ),
    )
    op.add_column(
        "application",
        sa.Column(
            "dpop_bound_access_tokens", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
    )
    op.create_table(
        "pushed_request",
        sa.Column("uri_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uri_hash", name="pk_pushed_request"),
    )
    op.create_index("ix_pushed_request_expires_at", "pushed_request", ["expires_at"])
    op.create_table(
        "device_request",
        sa.Column("device_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("browser_session", sa.Text(), nullable=True),
        sa.Column("poll_interval", sa.Integer(), nullable=False),
        sa.Column("polled_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device_hash", name="pk_device_request"),
        sa.UniqueConstraint("user_code_hash", name="uq_device_request_user_code_hash"),
    )
    op.create_index("ix_device_request_expires_at", "device_request", ["expires_at"])
    op.create_table(
        "registration_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registration_token"),
        sa.ForeignKeyConstraint(
            ["organization"],
            ["organization.name"],
            name="fk_registration_token_organization",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_registration_token_expires_at", "registration_token", ["expires_at"])
    op.create_table(
        "client_registration",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "application", name="pk_client_registration"),
        sa.ForeignKeyConstraint(
            ["organization", "application"],
            ["application.organization", "application.name"],
            name="fk_client_registration_application",
            ondelete="CASCADE",
        ),
    )
