"""Verbs of Casdoor whose work is done otherwise here, or not at all. They say so: an SDK that gets an error
does the safe thing, and somebody who reads it knows where to go.
"""

from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply
from iam.hanzo.errors import Refused
from iam.hanzo.reach import require_caller
from iam.hanzo.verbs import Verb, post

ON_PAGES = "A second factor is set up and removed on the pages about oneself, under /account."


def second_factor(call: Call) -> Reply:
    """Setting up a second factor for somebody by the client's word alone would let whoever holds a token
    take an account over: its owner is asked for the password first, on our pages."""
    require_caller(call)
    raise Refused(ON_PAGES)


def enforce(call: Call) -> Reply:
    """Permissions are not kept here, so nothing is allowed by one."""
    require_caller(call)
    raise Refused(
        "Permissions are not evaluated here: roles of users are in their tokens and at the gate."
    )


VERBS: tuple[Verb, ...] = (
    *(
        post(name, second_factor)
        for name in (
            "mfa/setup/initiate",
            "mfa/setup/verify",
            "mfa/setup/enable",
            "set-preferred-mfa",
        )
    ),
    # Their bodies are lists, which are not looked at.
    *(
        Verb(name=name, methods=("POST",), handler=enforce, writes=True, reads_body=False)
        for name in ("enforce", "batch-enforce")
    ),
)
