"""First start: what must exist before anybody can sign in. A second start changes nothing."""

import base64
from dataclasses import dataclass

from sqlalchemy import Connection

from iam import audit
from iam.directory.applications import create_application
from iam.directory.names import OrganizationMissing
from iam.directory.organizations import create_organization, find_organization
from iam.directory.users import ADMINISTRATOR, FIRST_USER, create_user
from iam.kernel.clock import Instant
from iam.kernel.events import SYSTEM, Event
from iam.kernel.ids import EVENT, make_id
from iam.kernel.secrets import Random
from iam.keys import saml
from iam.keys.cipher import Cipher
from iam.keys.signing import add_keys, encrypt_again, make_keys, missing_algorithms
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION
from iam.sessions.rules import hold_rules
from iam.signin import factors, provider_secrets
from iam.signin.passwords import Passwords


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start made. `password` is None when the operator gave one."""

    password: str | None


def bootstrap(
    connection: Connection,
    passwords: Passwords,
    admin_password: str,
    cipher: Cipher,
    now: Instant,
    random: Random,
) -> FirstStart | None:
    """Make organization, application, administrator and signing keys; None if they are there.

    Nodes that start together on an empty database queue on the lock; the second finds all made.
    """
    hold_rules(connection, None)
    encrypt_again(connection, cipher, random)
    saml.encrypt_again(connection, cipher, random)
    factors.encrypt_again(connection, cipher, random)
    provider_secrets.encrypt_again(connection, cipher, random)
    first = make_keys(now, random, active_at=now, algorithms=missing_algorithms(connection))
    add_keys(connection, first, cipher, random)
    try:
        find_organization(connection, BUILT_IN_ORGANIZATION)
    except OrganizationMissing:
        pass
    else:
        return None
    made = None if admin_password else base64.b32encode(random(15)).decode("ascii").lower()
    create_organization(connection, BUILT_IN_ORGANIZATION, "Built-in", now)
    create_application(
        connection,
        organization=BUILT_IN_ORGANIZATION,
        name=BUILT_IN_APPLICATION,
        display_name="Hanzo IAM",
        grant_types=(),
        now=now,
        random=random,
    )
    create_user(
        connection,
        organization=BUILT_IN_ORGANIZATION,
        name=FIRST_USER,
        password_hash=passwords.hash(admin_password or made or ""),
        display_name="Administrator",
        email=None,
        roles=(ADMINISTRATOR,),
        now=now,
        random=random,
    )
    event = Event(
        id=make_id(EVENT, now, random),
        at=now,
        type="installation.created",
        actor=SYSTEM,
        organization=BUILT_IN_ORGANIZATION,
    )
    audit.append(connection, [event])
    return FirstStart(made)
