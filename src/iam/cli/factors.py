"""Second factors of users from the command line."""

from iam.cli.database import opened_database
from iam.cli.directory import Name, Organization, users
from iam.kernel.clock import system_clock
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random


@users.command("remove-factor")
def remove_factor(organization: Organization, name: Name) -> None:
    """Remove a user's second factor, for who has lost it, and end all their sessions."""
    from iam.signin.enrolment import remove_by_administrator

    with opened_database() as (_, database):
        now = system_clock()
        database.write(
            lambda c: remove_by_administrator(
                c, organization, name, actor=OPERATOR, now=now, random=system_random
            )
        )
    print(f"Removed the second factor of {organization}/{name}; their sessions have ended.")


__all__ = ["users"]
