"""Verbs of Casdoor whose work is done otherwise here, or not at all. They say so: an SDK that gets an error
does the safe thing, and somebody who reads it knows where to go.
"""

from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply
from iam.hanzo.errors import Refused
from iam.hanzo.reach import require_caller
from iam.hanzo.verbs import Verb, post


def enforce(call: Call) -> Reply:
    """Permissions are only kept here (`kept_verbs`), so nothing is allowed by one."""
    require_caller(call)
    raise Refused(
        "Permissions are not evaluated here: roles of users are in their tokens and at the gate."
    )


def impersonate(call: Call) -> Reply:
    """A session in which somebody acts as somebody else would be that other person's in every token and
    list, whoever looks: the list of one's own sessions would not be true any more."""
    require_caller(call)
    raise Refused(
        "Nobody acts as somebody else here: look at their account, or give them a new password."
    )


VERBS: tuple[Verb, ...] = (
    post("impersonate-user", impersonate),
    post("exit-impersonate-user", impersonate),
    # Their bodies are lists, which are not looked at.
    *(
        Verb(name=name, methods=("POST",), handler=enforce, writes=True, reads_body=False)
        for name in ("enforce", "batch-enforce")
    ),
)
