"""Applications by the verbs of Casdoor, as they are changed.

A client secret can be given and is shown once, where it was made; afterwards only its hash is known.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from iam import audit
from iam.api.applications_api import HasNoSecret
from iam.api.openid_members import (
    ApplicationChangeForm,
    ApplicationForm,
    check_openid,
    split_members,
)
from iam.directory import applications
from iam.directory.applications import (
    Application,
    ApplicationChange,
    find_application,
    find_client,
)
from iam.directory.client_settings import ClientSettings
from iam.directory.names import ApplicationMissing, Reserved, check_name
from iam.directory.openid_settings import OpenidSettings
from iam.directory.organizations import find_organization
from iam.hanzo.application_verbs import meant_application
from iam.hanzo.asking import checked, differing, given_members, named
from iam.hanzo.call import Call
from iam.hanzo.envelope import AFFECTED, Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.kept import change_kept
from iam.hanzo.objects import MASK, OWNER, application_members, layer_of
from iam.hanzo.policies import turned_by
from iam.hanzo.reach import require_administrator
from iam.hanzo.verbs import Verb, post
from iam.kernel.ids import APPLICATION, is_client_id, is_id
from iam.sessions import rules
from iam.sessions.layers import read_policy
from iam.sessions.lifecycle import Ended
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.sessions.policy import Policy
from iam.sessions.policy_change import change_policy

_NAMES = {
    "organization": "organization",
    "name": "name",
    "display_name": "displayName",
    "redirect_uris": "redirectUris",
    "grant_types": "grantTypes",
    "backchannel_logout_uri": "backchannelLogoutUri",
}
_GRANTS = {
    **{one: one for one in ("authorization_code", "refresh_token", "client_credentials")},
    **{one: one for one in ("password", "implicit")},
    **{
        f"urn:ietf:params:oauth:grant-type:{one}": f"urn:ietf:params:oauth:grant-type:{one}"
        for one in ("device_code", "token-exchange")
    },
    # Theirs has no word for it but the two kinds of answers.
    "token": "implicit",
    "id_token": "implicit",
}
_SHORTEST_SECRET, _LONGEST_SECRET = 20, 128


def add_application(call: Call) -> Reply:
    """`POST add-application`: `data2` holds the client ID and, this once, the secret. Both may be given."""
    owner, name = _named(call)
    organization = owner if owner != OWNER else call.text("organization") or call.home
    if call.text("organization") not in ("", organization):
        raise Refused("owner and organization name different organizations.")
    require_administrator(call, organization)
    check_name(name)
    client_id, secret = _client_id(call), _secret(call.body)
    form = checked(
        ApplicationForm,
        _NAMES,
        organization=organization,
        name=name,
        display_name=call.text("displayName") or None,
        # Their SDKs send no code_challenge; the secret stands for it.
        require_pkce=False,
        **_addresses(call.body),
    )
    chosen, client, members = split_members(form.model_dump(exclude={"policy"}))
    turned = turned_by(call.body, "application")
    disabled = call.flag("disableSignin")

    def work(connection: Connection) -> dict[str, Any]:
        rules.hold_rules(connection, organization)
        find_organization(connection, organization)
        if client_id is not None and find_client(connection, client_id) is not None:
            raise Refused("clientId is taken.")
        made, shown_once = applications.create_application(
            connection,
            **members,
            client=ClientSettings(**client),
            openid=OpenidSettings(**chosen),
            client_id=client_id,
            secret=secret,
            now=call.now,
            random=call.engine.random,
        )
        check_openid(call.engine.settings, made)
        members_ = {"organization": organization, "application": name}
        audit.append(connection, [call.event("application.created", **members_)])
        change_policy(connection, layer_of(made), turned, origin=call.origin, **call.cause)
        change_kept(connection, "application", organization, name, call.body, _shown(made))
        if disabled:
            _change(connection, call, made, ApplicationChange(enabled=False), ["enabled"])
        return {"clientId": made.client_id, "clientSecret": shown_once or ""}

    return Reply(data=AFFECTED, data2=call.engine.database.write(work))


def update_application(call: Call) -> Reply:
    """`POST update-application?id&columns`: what the body does not mention stays.
    A `clientSecret` that is not the mask takes the place of the old one."""
    owner, name = _named(call)
    organization, name = call.engine.database.read(
        lambda c: meant_application(c, call, owner, name)
    )
    require_administrator(call, organization)
    if call.text("organization") not in ("", organization):
        raise Refused("An application cannot be moved to another organization.")
    given = given_members(call)
    secret = _secret(given)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        rules.hold_rules(connection, organization)
        try:
            before = find_application(connection, organization, name)
        except ApplicationMissing:
            return False, ()
        layer = layer_of(before)
        new = differing(given, application_members(before, read_policy(connection, layer), {}))
        if call.text("clientId") not in ("", before.client_id):
            raise Refused("clientId cannot be changed.")
        turned = turned_by(new, "application")
        changed = change_policy(connection, layer, turned, origin=call.origin, **call.cause)
        change, names = _turned(new, before)
        if change_kept(connection, "application", organization, name, given, _shown(before)):
            names.append("legacy_members")
        ended = _change(connection, call, before, change, names)
        if secret is not None:
            _set_secret(connection, call, before, secret)
        return True, (*changed.impact.noted, *ended)

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def delete_application(call: Call) -> Reply:
    """`POST delete-application`: with its sessions."""
    owner, name = _named(call)
    organization, name = call.engine.database.read(
        lambda c: meant_application(c, call, owner, name)
    )
    require_administrator(call, organization)

    def work(connection: Connection) -> tuple[bool, tuple[Ended, ...]]:
        try:
            ended = applications.delete_application(connection, organization, name, **call.cause)
        except ApplicationMissing:
            return False, ()
        members = {"organization": organization, "application": name}
        audit.append(connection, [call.event("application.deleted", **members)])
        return True, ended

    found, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return affected(found)


def _named(call: Call) -> tuple[str, str]:
    if not call.query("id") and not call.text("owner") and call.text("name"):
        return OWNER, call.text("name")  # Hanzo's clients leave the owner out
    return named(call)


def _addresses(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of the members of ours that have the same meaning there was given."""
    members: dict[str, Any] = {}
    if given.get("redirectUris") is not None:
        members["redirect_uris"] = given["redirectUris"]
    if given.get("grantTypes") is not None:
        members["grant_types"] = _grants(given["grantTypes"])
    if given.get("backchannelLogoutUri") is not None:
        members["backchannel_logout_uri"] = given["backchannelLogoutUri"] or None
    return members


def _grants(given: object) -> list[str]:
    """Grants as we know them. What we do not have (`jwt-bearer`) is left out; a code always leads in, as
    with theirs."""
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Refused("grantTypes must be a list of strings.")
    known = (_GRANTS[one] for one in given if one in _GRANTS)
    return list(dict.fromkeys(("authorization_code", *known)))


def _client_id(call: Call) -> str | None:
    given = call.text("clientId")
    if not given:
        return None
    # One of our own form has belonged to somebody, or will.
    if is_id(APPLICATION, given) or not is_client_id(given):
        raise Refused("clientId cannot be that.")
    return given


def _secret(given: Mapping[str, Any]) -> str | None:
    """The secret in the body; None for none, and for what stands in its place where one is read."""
    text = given.get("clientSecret")
    if text in (None, "", MASK):
        return None
    if (
        not isinstance(text, str)
        or not _SHORTEST_SECRET <= len(text) <= _LONGEST_SECRET
        or not (text.isascii() and text.isprintable() and " " not in text)
    ):
        # Only its SHA-256 is stored, which guards what cannot be guessed.
        raise Refused(
            f"clientSecret must be {_SHORTEST_SECRET} to {_LONGEST_SECRET} visible characters."
        )
    return text


def _shown(application: Application) -> dict[str, Any]:
    return application_members(application, Policy(), {})


def _turned(new: Mapping[str, Any], before: Application) -> tuple[ApplicationChange, list[str]]:
    members = _addresses(new)
    if "displayName" in new:
        members["display_name"] = new["displayName"] or before.name
    if "disableSignin" in new:
        if not isinstance(new["disableSignin"], bool):
            raise Refused("disableSignin must be true or false.")
        members["enabled"] = not new["disableSignin"]
    form = checked(ApplicationChangeForm, _NAMES, **members)
    chosen, client, rest = split_members(form.model_dump(include=form.model_fields_set))
    return ApplicationChange(**rest, client=client, openid=chosen), sorted(members)


def _change(
    connection: Connection,
    call: Call,
    before: Application,
    change: ApplicationChange,
    names: list[str],
) -> tuple[Ended, ...]:
    if not names:
        return ()
    organization, name = before.organization, before.name
    after, ended = applications.update_application(
        connection, organization, name, change, **call.cause
    )
    check_openid(call.engine.settings, after)
    data = {"changed": sorted(names)}
    event = call.event(
        "application.updated", organization=organization, application=name, data=data
    )
    audit.append(connection, [event])
    return ended


def _set_secret(connection: Connection, call: Call, application: Application, secret: str) -> None:
    organization, name = application.organization, application.name
    if name == BUILT_IN_APPLICATION:
        raise Reserved("The application app-built-in has no use for a secret.")
    if not application.client.has_secret:
        raise HasNoSecret
    applications.rotate_client_secret(connection, organization, name, call.engine.random, secret)
    event = call.event("application.secret_rotated", organization=organization, application=name)
    audit.append(connection, [event])


VERBS: tuple[Verb, ...] = (
    post("add-application", add_application),
    post("update-application", update_application),
    post("delete-application", delete_application),
)
