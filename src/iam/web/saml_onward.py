"""After a sign-out: the way on for the browser to SAML providers that can be told through it alone, and to
the identity provider where the person signed in, if a sign-out here is to go on there.

What is still to be done waits on the server, behind a code that is good once: session IDs are no secrets,
and whoever knows one must not learn by what names providers know its user.
"""

from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import urlencode

from sqlalchemy import Connection

from iam.delivery.saml_logouts import read_participants, told_by_soap
from iam.directory.providers import find_provider_by_id
from iam.directory.saml_identity import KIND, identity_of
from iam.directory.saml_metadata import POST, REDIRECT
from iam.kernel.clock import Instant
from iam.kernel.secrets import Random
from iam.sessions.lifecycle import Ended
from iam.signin.codes import issue_code
from iam.signin.federated_sessions import read_federated

CODE = "saml-logout"
_PATH = "/saml/slo"
_LIFETIME = 10 * 60  # seconds in which somebody may press the button


def saml_onward(
    connection: Connection,
    ended: Sequence[Ended],
    now: Instant,
    random: Random,
    *,
    onward: str | None = None,
    onward_name: str = "",
) -> str | None:
    """Where to go on to after these ends; None if the outbox tells all who have to be told.

    Args:
        onward: where the way leads when all are told, an address that was checked; `onward_name` is
            whose it is.
    """
    found = read_participants(connection, [one.session.id for one in ended])
    by_soap = told_by_soap(connection, found.values())
    waiting = [asdict(one) for one in found.values() if one.session not in by_soap]
    born = _born(connection, ended)
    if not waiting and not born:
        return None
    code = issue_code(
        connection,
        CODE,
        browser_session="",
        payload={
            "waiting": waiting,
            "born": born,
            "onward": onward,
            "onward_name": onward_name,
        },
        now=now,
        random=random,
        lifetime=_LIFETIME,
    )
    return f"{_PATH}?{urlencode({'onward': code})}"


def _born(connection: Connection, ended: Sequence[Ended]) -> list[str]:
    """The sessions of which the SAML provider is told where they were born, in the order of their IDs."""
    federated = read_federated(connection, [one.session.id for one in ended])
    told = []
    for session, one in sorted(federated.items()):
        provider = find_provider_by_id(connection, one.provider)
        if provider is None or provider.kind != KIND:
            continue
        options, metadata = identity_of(provider)
        if options.sign_out_there and metadata.logout_by(REDIRECT, POST) is not None:
            told.append(session)
    return told
