"""The policy in full: knobs, and what a session keeps of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in (
        ("remember_idle_timeout", sa.Integer()),
        ("remember_maximum_lifetime", sa.Integer()),
        ("exclusive", sa.Boolean()),
        ("maximum_sessions", sa.Integer()),
        ("at_limit", sa.Text()),
        ("maximum_user_sessions", sa.Integer()),
        ("reauthentication_age", sa.Integer()),
        ("end_children", sa.Boolean()),
        ("notify_on_expiry", sa.Boolean()),
    ):
        op.add_column("policy", sa.Column(name, kind, nullable=True))
    op.add_column("session", sa.Column("entered_through", sa.Text(), nullable=True))
    op.add_column(
        "session",
        sa.Column("remembered", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    entered = sa.text("entered_through IS NOT NULL")
    op.create_index(
        "ix_session_entered_through",
        "session",
        ["entered_through"],
        sqlite_where=entered,
        postgresql_where=entered,
    )
