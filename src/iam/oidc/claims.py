"""What a request asks for claim by claim (OpenID Connect Core §5.5), besides its scopes.

A claim is one that a scope would give, and whoever allows the scope allows it: so consent is asked and
remembered by scopes alone. What is not known here is passed over, and a value that is wished for another
claim than `sub` and `acr` changes nothing of what is true (§5.5.1).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidRequestError,
)
from sqlalchemy import Connection

from iam.directory.preferences import read_preferences

SCOPE_OF = {
    "name": "profile",
    "preferred_username": "profile",
    "locale": "profile",
    "zoneinfo": "profile",
    "email": "email",
}
"""Each claim that can be asked for by itself, and the scope that gives it (§5.4)."""
_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedClaims:
    """What `claims` asks for: names of claims of each kind, sorted; whom the answer has to be about (None:
    anybody), and what it says of `acr`."""

    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()
    subjects: frozenset[str] | None = None
    acr: Mapping[str, Any]

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that a person has to have allowed for it."""
        return frozenset(SCOPE_OF[one] for one in (*self.userinfo, *self.id_token))


def asked_claims(parameters: Mapping[str, str]) -> AskedClaims:
    """What the parameter `claims` asks for; nothing of a request that is none of OpenID Connect.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    text = parameters.get("claims")
    if not text:  # without a value it counts as absent (RFC 6749 §3.1)
        return AskedClaims(acr={})
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("claims is no JSON.") from error
    whole = _object(whole)
    userinfo, id_token = (_object(whole.get(name) or {}) for name in ("userinfo", "id_token"))
    openid = "openid" in parameters.get("scope", "").split()
    wanted = [_subjects(one) for one in (userinfo, id_token) if one.get("sub") is not None]
    named = [one for one in wanted if one is not None]
    return AskedClaims(
        userinfo=_known(userinfo) if openid else (),
        id_token=_known(id_token) if openid else (),
        subjects=frozenset.intersection(*named) if named else None,
        acr=_object(id_token.get("acr") or {}),
    )


def _known(member: dict[str, Any]) -> tuple[str, ...]:
    found = [name for name in SCOPE_OF if name in member]
    for name in found:
        _object(member[name] or {})
    return tuple(sorted(found))


def _subjects(member: dict[str, Any]) -> frozenset[str] | None:
    sub = _object(member["sub"])
    return frozenset(values_of(sub, "sub")) if sub.keys() & {"value", "values"} else None


def values_of(member: Mapping[str, Any], name: str) -> list[str]:
    """The values that a claim is wished to have, the preferred first.

    Raises:
        InvalidRequestError: they are no texts.
    """
    values = [member["value"]] if "value" in member else member.get("values", [])
    well = isinstance(values, list) and len(values) <= _MOST
    if not well or not all(isinstance(one, str) for one in values):
        raise InvalidRequestError(f"{name} in claims names its values as texts.")
    return list(values)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequestError("claims is an object of objects.")
    return value


def claims_of_scopes(scope: Collection[str]) -> tuple[str, ...]:
    """The claims that these scopes give (§5.4)."""
    return tuple(name for name, gives in SCOPE_OF.items() if gives in scope)


def values_for(
    connection: Connection,
    names: Collection[str],
    *,
    organization: str,
    user: str,
    name: str,
    email: str | None,
) -> dict[str, str]:
    """These claims of a user, as far as they have them."""
    known = {"name": name, "preferred_username": user, "email": email}
    if not known.keys() >= set(names):
        said = read_preferences(connection, organization, user)
        known |= {"locale": said.locale, "zoneinfo": said.zone}
    return {one: value for one in SCOPE_OF if one in names and (value := known[one]) is not None}
