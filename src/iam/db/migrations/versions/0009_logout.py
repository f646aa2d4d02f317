"""Applications that are told when sessions end, which sessions they know of, and consent."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("require_pkce", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("default_max_age", sa.Integer(), nullable=True),
        sa.Column("consent", sa.Text(), nullable=False, server_default="none"),
        sa.Column("backchannel_logout_uri", sa.Text(), nullable=True),
        sa.Column(
            "backchannel_logout_session_required",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
        ),
        sa.Column("frontchannel_logout_uri", sa.Text(), nullable=True),
        sa.Column(
            "frontchannel_logout_session_required",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
        ),
    ):
        op.add_column("application", column)
    told = sa.text("backchannel_logout_uri IS NOT NULL")
    op.create_index(
        "ix_application_told",
        "application",
        ["client_id"],
        sqlite_where=told,
        postgresql_where=told,
    )
    op.create_table(
        "client_session",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session.id"],
            name="fk_client_session_session",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_client_session"),
    )
    op.create_table(
        "consent",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name="fk_consent_user_account", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["application.client_id"],
            name="fk_consent_application",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "client_id", name="pk_consent"),
    )
