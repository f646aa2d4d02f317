"""What sessions are searched by, and bulk ends."""

import sqlalchemy as sa
from alembic import op

from iam.kernel.addresses import address_bytes

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LIVE = "ended_at IS NULL"
_ENDED = "ended_at IS NOT NULL"
_INDEXES: tuple[tuple[str, list[str], str], ...] = (
    ("listed", ["organization", "id"], _LIVE),
    ("user", ["user_name", "organization", "id"], _LIVE),
    ("application", ["application", "organization", "id"], _LIVE),
    ("address", ["address", "id"], f"{_LIVE} AND address IS NOT NULL"),
    ("instance", ["instance", "id"], f"{_LIVE} AND instance IS NOT NULL"),
    ("ended_listed", ["organization", "id"], _ENDED),
    ("ended_user", ["user_name", "organization", "id"], _ENDED),
    ("ended_application", ["application", "organization", "id"], _ENDED),
    ("ended_address", ["address", "id"], f"{_ENDED} AND address IS NOT NULL"),
    ("ended_instance", ["instance", "id"], f"{_ENDED} AND instance IS NOT NULL"),
)


def upgrade() -> None:
    op.add_column("session", sa.Column("address", sa.LargeBinary(), nullable=True))
    _fill_addresses()
    op.drop_index("ix_session_live", "session")
    op.drop_index("ix_session_listed", "session")
    for name, columns, where in _INDEXES:
        _create_index(f"ix_session_{name}", "session", columns, where)
    _create_index("ix_event_session_id", "event", ["session_id", "id"], "session_id IS NOT NULL")
    op.create_table(
        "bulk_end",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("filter", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("processed", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bulk_end"),
    )


def _create_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _fill_addresses() -> None:
    """Each address once through Python, then all rows in one statement."""
    connection = op.get_bind()
    packed = op.create_table(
        "address_0005",
        sa.Column("ip", sa.Text(), primary_key=True),
        sa.Column("address", sa.LargeBinary()),
    )
    found = connection.execute(sa.text("SELECT DISTINCT ip FROM session WHERE ip IS NOT NULL"))
    rows = [{"ip": ip, "address": address_bytes(ip)} for ip in found.scalars()]
    if rows:
        connection.execute(sa.insert(packed), rows)
        op.execute(
            "UPDATE session SET address = "
            "(SELECT p.address FROM address_0005 AS p WHERE p.ip = session.ip) "
            "WHERE ip IS NOT NULL"
        )
    op.drop_table("address_0005")
