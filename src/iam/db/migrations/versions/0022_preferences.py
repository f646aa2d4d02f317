"""What people have said about how pages speak to them: a language and a time zone."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("user_account") as table:
        table.add_column(sa.Column("locale", sa.Text(), nullable=True))
        table.add_column(sa.Column("zoneinfo", sa.Text(), nullable=True))
