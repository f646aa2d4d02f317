"""Certificates by the verbs of Casdoor: those of our signing keys, by their key IDs, and the clients' own.

`cert-built-in` is the key that signs now. Private keys are in no answer, and none is kept.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection

from iam.hanzo.asking import asked, choose, given_members, named
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.kept_rows import (
    add_row,
    delete_row,
    find_row,
    list_rows,
    organization_of,
    update_row,
)
from iam.hanzo.objects import OWNER
from iam.hanzo.reach import administers_installation, require_administrator
from iam.hanzo.verbs import Verb, get, post
from iam.kernel.clock import to_iso
from iam.kernel.ids import KEY, is_id
from iam.keys.certificates import YEARS, certificate_of
from iam.keys.signing import SigningKey

CURRENT = "cert-built-in"


def get_certs(call: Call) -> Reply:
    """`GET get-certs?owner`: ours, and those that an organization has added (`admin`: the caller's own)."""
    organization = organization_of(call, call.query("owner"))
    return _listed(call, organization)


def get_global_certs(call: Call) -> Reply:
    """`GET get-global-certs`: ours, and those of every organization that the caller administers."""
    return _listed(call, None if administers_installation(call) else call.home)


def _listed(call: Call, organization: str | None) -> Reply:
    require_administrator(call, organization)
    wanted = asked(call)
    added = call.engine.database.read(lambda c: list_rows(c, "cert", organization))
    found, count = choose([*(key_view(one) for one in _keys(call)), *added], wanted)
    return Reply(data=found, data2=count)


def get_cert(call: Call) -> Reply:
    """`GET get-cert?id=owner/name`: null where there is none."""
    owner, name = split_id(call.query("id"), 2)
    organization = organization_of(call, owner)
    if owner == OWNER:
        key = next((one for one in _keys(call) if name in (one.id, CURRENT)), None)
        if key is not None:
            # For whoever calls: it is as public as the key set.
            return Reply(data={**key_view(key), "name": name})
    require_administrator(call, organization)
    return Reply(data=call.engine.database.read(lambda c: find_row(c, "cert", organization, name)))


def add_cert(call: Call) -> Reply:
    """`POST add-cert`: what is public of it is kept. It signs nothing here."""
    organization, name = _meant(call)
    call.engine.database.write(lambda c: add_row(c, call, "cert", organization, name))
    return affected(True)


def update_cert(call: Call) -> Reply:
    """`POST update-cert?id&columns`: what the body does not mention stays."""
    organization, name = _meant(call)
    given = given_members(call)

    def work(connection: Connection) -> bool:
        return update_row(connection, "cert", organization, name, given)

    return affected(call.engine.database.write(work))


def delete_cert(call: Call) -> Reply:
    """`POST delete-cert`."""
    organization, name = _meant(call)
    return affected(call.engine.database.write(lambda c: delete_row(c, "cert", organization, name)))


def _meant(call: Call) -> tuple[str, str]:
    owner, name = named(call)
    organization = organization_of(call, owner)
    require_administrator(call, organization)
    if name == CURRENT or is_id(KEY, name):
        raise Refused("The server's own keys are changed with: iam keys rotate.")
    return organization, name


def _keys(call: Call) -> tuple[SigningKey, ...]:
    return call.engine.keys


def key_view(key: SigningKey) -> dict[str, Any]:
    """A signing key of ours as they describe a certificate."""
    public = key.key.public_key
    return {
        "owner": OWNER,
        "name": key.id,
        "createdTime": to_iso(key.created_at),
        "displayName": "Signing key",
        "scope": "JWT",
        "type": "x509",
        "cryptoAlgorithm": key.algorithm,
        "bitSize": public.key_size if isinstance(public, rsa.RSAPublicKey) else 256,
        "expireInYears": YEARS,
        "certificate": certificate_of(key),
        "privateKey": "",
    }


VERBS: tuple[Verb, ...] = (
    get("get-certs", get_certs),
    get("get-global-certs", get_global_certs),
    get("get-cert", get_cert),
    post("add-cert", add_cert),
    post("update-cert", update_cert),
    post("delete-cert", delete_cert),
)
