"""Tokens keep which claims were asked for one by one (OpenID Connect Core §5.5)."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("refresh_token", "access_token"):
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("claims", sa.JSON(), nullable=True))
