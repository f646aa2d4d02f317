"""Refresh tokens as they are kept: a family for each grant, one token of it good at a time.

A token is `rft_<family>.<proof>.<secret>`. The proof stays the same and shows that whoever presents it
has held a token of this family; the secret is another one after every use. Of both only hashes are
stored. The next secret is made from the presented one and a salt, neither of which is enough alone: so
a retry within moments gets the same successor, and nobody who reads the table gets any.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import sha256

from sqlalchemy import Connection, bindparam, insert, select, update

from iam.db.prepared import Prepared, values_of
from iam.db.token_tables import refresh_token as table
from iam.kernel.clock import Instant, after
from iam.kernel.ids import REFRESH, make_id
from iam.kernel.secrets import Random, hash_secret, make_secret, proves
from iam.oidc.tokens import Grant

GRACE = 30
"""Seconds in which the token before the current one gives the same successor again: for requests that
were sent in parallel, or whose answer was lost."""

_FORM = re.compile(
    r"(rft_[0-9a-hjkmnp-tv-z]{26})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})", re.ASCII
)
_PROOF_BYTES = 16
_SALT_BYTES = 32
_INSERT = Prepared(insert(table).values(values_of(table)))
_FIND = Prepared(select(table).where(table.c.id == bindparam("family")))


class Standing(Enum):
    """Which one of its family a token is."""

    CURRENT = auto()
    FORMER = auto()
    """The one before, within its grace."""
    STALE = auto()
    """An older one: two have held it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A token that was presented, of a family that is known."""

    family: str
    standing: Standing
    session_id: str
    client_id: str
    subject: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    jkt: str | None
    created_at: Instant
    proof: str
    secret: str
    salt: bytes | None
    userinfo_claims: tuple[str, ...] = ()
    id_token_claims: tuple[str, ...] = ()


def issue(
    connection: Connection, grant: Grant, *, jkt: str | None, now: Instant, random: Random
) -> str:
    """The first token of a new family; its session is the grant's, which has one.

    `jkt` is the thumbprint of the key that every use has to prove.
    """
    family, secret = make_id(REFRESH, now, random), make_secret(random)
    proof = _text(random(_PROOF_BYTES))
    _INSERT.run(
        connection,
        {
            "id": family,
            "session_id": grant.session.id if grant.session is not None else None,
            "client_id": grant.client_id,
            "subject": grant.subject,
            "scope": " ".join(grant.scope),
            "audience": list(grant.audience),
            "jkt": jkt,
            "proof_hash": hash_secret(proof),
            "secret_hash": hash_secret(secret),
            "former_hash": None,
            "salt": None,
            "claims": {
                "userinfo": list(grant.userinfo_claims),
                "id_token": list(grant.id_token_claims),
            }
            if grant.userinfo_claims or grant.id_token_claims
            else None,
            "created_at": now,
            "rotated_at": now,
        },
    )
    return f"{family}.{proof}.{secret}"


def find(connection: Connection, text: str, now: Instant) -> RefreshToken | None:
    """What this text is; None if it is no token of a known family."""
    match = _FORM.fullmatch(text)
    row = _FIND.one_or_none(connection, {"family": match[1]}) if match else None
    if match is None or row is None or not proves(match[2], row.proof_hash):
        return None
    secret = match[3]
    if proves(secret, row.secret_hash):
        standing = Standing.CURRENT
    elif proves(secret, row.former_hash) and now < after(Instant(row.rotated_at), GRACE):
        standing = Standing.FORMER
    else:
        standing = Standing.STALE
    return RefreshToken(
        family=row.id,
        standing=standing,
        session_id=row.session_id,
        client_id=row.client_id,
        subject=row.subject,
        scope=tuple(row.scope.split()),
        audience=tuple(row.audience),
        jkt=row.jkt,
        created_at=Instant(row.created_at),
        proof=match[2],
        secret=secret,
        salt=row.salt,
        userinfo_claims=tuple((row.claims or {}).get("userinfo", ())),
        id_token_claims=tuple((row.claims or {}).get("id_token", ())),
    )


def succeed(
    connection: Connection, token: RefreshToken, now: Instant, random: Random
) -> str | None:
    """The token that takes the place of this one; None if it is too late for that.

    Of requests that use one token at the same instant, all get the same.
    """
    if token.standing is Standing.CURRENT:
        salt = random(_SALT_BYTES)
        successor = _successor(token.secret, salt)
        statement = update(table).where(
            table.c.id == token.family, table.c.secret_hash == hash_secret(token.secret)
        )
        rotated = connection.execute(
            statement.values(
                secret_hash=hash_secret(successor),
                former_hash=table.c.secret_hash,
                salt=salt,
                rotated_at=now,
            )
        ).rowcount
        if rotated:
            return f"{token.family}.{token.proof}.{successor}"
        # Another request was faster, and its salt is the one that counts.
        again = find(connection, f"{token.family}.{token.proof}.{token.secret}", now)
        return succeed(connection, again, now, random) if again is not None else None
    if token.standing is Standing.FORMER and token.salt is not None:
        return f"{token.family}.{token.proof}.{_successor(token.secret, token.salt)}"
    return None


def _successor(secret: str, salt: bytes) -> str:
    return _text(hmac.digest(salt, secret.encode(), sha256))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
