"""From an assertion to what `iam.signin.federation` takes: whom an identity provider means, and what its
attributes say."""

import json
from collections.abc import Mapping
from typing import Any

from iam.directory.providers import Provider
from iam.directory.saml_identity import identity_of
from iam.kernel.clock import Instant
from iam.kernel.secrets import Random
from iam.keys.cipher import Cipher, EncryptionKeyWrong
from iam.languages import _
from iam.saml.assertions import LONGEST_NAME, Believed
from iam.saml.errors import SamlAnswerRefused
from iam.saml.names import NAME_ID_FORMATS
from iam.saml.reading import NameId
from iam.signin.federation import Vouched

NAME_ID = "NameID"
"""By this name an attribute mapping means the NameID itself."""
_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_USUAL = {
    "name": ("uid", "urn:oid:0.9.2342.19200300.100.1.1", "username", f"{_CLAIMS}name"),
    "display_name": (
        "displayName",
        "urn:oid:2.16.840.1.113730.3.1.241",
        "cn",
        "urn:oid:2.5.4.3",
        "http://schemas.microsoft.com/identity/claims/displayname",
    ),
    "email": (
        "mail",
        "urn:oid:0.9.2342.19200300.100.1.3",
        "email",
        f"{_CLAIMS}emailaddress",
    ),
}
"""What providers in use call what is asked of them, in the order in which it is looked for."""


def vouched_by(
    provider: Provider, believed: Believed, cipher: Cipher, now: Instant, random: Random
) -> Vouched:
    """What a provider says of somebody.

    Raises:
        SamlAnswerRefused: it gives them no name that lasts, or not the attribute that they are known by.
    """
    claims: dict[str, Any] = {**believed.attributes, NAME_ID: (believed.name_id.value,)}
    defaults = _defaults(believed)
    email = _first(claims, provider.attributes.get("email", defaults.get("email", "")))
    return Vouched(
        provider=provider,
        subject=_subject(provider, believed),
        claims=claims,
        defaults=defaults,
        # An organization's own provider is believed about its own domains, and about no other.
        email_verified=email.rpartition("@")[2].lower() in provider.trusted_domains,
        session=believed.session_index,
        acr=believed.context_class,
        name_id=believed.name_id.value,
        hint=_sealed(provider, believed.name_id, cipher, random),
        authenticated_at=min(believed.authenticated_at, now),
        until=believed.session_until,
    )


def _subject(provider: Provider, believed: Believed) -> str:
    options, _metadata = identity_of(provider)
    if options.subject_attribute is not None:
        found = believed.attributes.get(options.subject_attribute, ())
        if len(found) != 1 or len(found[0]) > LONGEST_NAME:
            raise SamlAnswerRefused(
                _(
                    "It must have the attribute %(name)s exactly once, and not too long.",
                    name=options.subject_attribute,
                )
            )
        return found[0]
    if believed.name_id.format == NAME_ID_FORMATS["transient"]:
        raise SamlAnswerRefused(
            _(
                "It calls you by a name that is another each time. Your administrator has to choose a format "
                "of NameID that lasts, or an attribute to know people by."
            )
        )
    return believed.name_id.value


def _defaults(believed: Believed) -> dict[str, str]:
    found = {}
    for ours, names in _USUAL.items():
        present = next((name for name in names if believed.attributes.get(name)), None)
        if present is not None:
            found[ours] = present
    if "email" not in found and believed.name_id.format == NAME_ID_FORMATS["emailAddress"]:
        found["email"] = NAME_ID
    return found


def _first(claims: Mapping[str, Any], name: str) -> str:
    return str(next(iter(claims.get(name, ())), ""))


def _sealed(provider: Provider, name_id: NameId, cipher: Cipher, random: Random) -> str:
    text = json.dumps(
        [name_id.value, name_id.format, name_id.name_qualifier, name_id.sp_name_qualifier]
    )
    return cipher.encrypt(text, provider.id, random)


def name_id_in(hint: str | None, provider_id: str, cipher: Cipher) -> NameId | None:
    """The NameID that a session was born with; None if it cannot be read any more."""
    if hint is None:
        return None
    try:
        value, format_, name_qualifier, sp_name_qualifier = json.loads(
            cipher.decrypt(hint, provider_id)
        )
    except (EncryptionKeyWrong, ValueError):
        return None
    return NameId(
        value=value,
        format=format_,
        name_qualifier=name_qualifier,
        sp_name_qualifier=sp_name_qualifier,
    )
