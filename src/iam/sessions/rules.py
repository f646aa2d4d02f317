"""The rules that sessions start under, held still while somebody depends on them.

A start shares the rules of its organization; whoever changes one (a policy, a user who is disabled)
holds them alone, so that no start slips past the change. Where the number of a user's sessions is
limited, their starts come one after the other.
"""

from sqlalchemy import Connection, text

from iam.db.prepared import Asked, Prepared, together


def share_rules(connection: Connection, organization: str) -> None:
    """Hold still what starts depend on (policies, users, applications) until the commit.

    Starts share this lock; whoever tightens a policy or disables somebody takes it alone with
    `hold_rules`. Without it a start could read the old rule, be overtaken by the change that goes
    through all live sessions, and then add one that the change never saw.
    """
    together(connection, *sharing_rules(connection, organization))


def sharing_rules(connection: Connection, organization: str) -> list[Asked]:
    """What `share_rules` asks, to go `together` with what is read under it."""
    if connection.dialect.name == "sqlite":  # which has one writer at a time anyway
        return []
    return [(_SHARE_RULES, {"all": _ALL_RULES, "one": organization})]


def hold_rules(connection: Connection, organization: str | None) -> None:
    """Take alone what `share_rules` shares; None stands for the whole installation."""
    if connection.dialect.name != "sqlite":
        if organization is None:
            connection.execute(_HOLD_ALL, {"all": _ALL_RULES})
        else:
            connection.execute(_HOLD_ONE, {"one": organization})


_ALL_RULES = 0x69616D_0002
_SHARE_RULES = Prepared(
    text(
        "SELECT pg_advisory_xact_lock_shared(:all),"
        " pg_advisory_xact_lock_shared(hashtextextended(:one, 0))"
    )
)
_HOLD_ALL = text("SELECT pg_advisory_xact_lock(:all)")
_HOLD_ONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:one, 0))")


def hold_user(connection: Connection, organization: str, user: str) -> None:
    """Take alone the right to start sessions of this user, until the commit.

    A start that counts what is there takes it first, after the rules and before any row: of any number
    that find the last free place at the same instant one gets it. The row of the session record would
    not do: of a pair without a session there is none to lock.
    """
    if connection.dialect.name != "sqlite":
        _HOLD_USER.run(connection, {"user": f"{organization}/{user}"})


_HOLD_USER = Prepared(text("SELECT pg_advisory_xact_lock(hashtextextended(:user, 1))"))
