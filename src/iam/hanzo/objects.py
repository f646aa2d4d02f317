"""Organizations, applications and users as those clients know them.

What means something to us is ours to say, whatever was kept beside it; what does not is given back as it was
given to us (`directory.legacy`). Secrets are never among it.
"""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from iam.directory.applications import Application
from iam.directory.legacy import read_members
from iam.directory.organizations import Organization
from iam.directory.users import ADMINISTRATOR, User
from iam.kernel.clock import to_iso
from iam.sessions.layers import read_policy
from iam.sessions.model import BUILT_IN_ORGANIZATION
from iam.sessions.policy import Layer, Policy

MASK = "***"
_SECRET = re.compile(r"password|secret|salt|keytab|recoverycodes|hash$|privatekey", re.IGNORECASE)
"""Names of members that were secrets where they come from: what is kept of them is shown to nobody."""
OWNER = "admin"
"""Whose organizations and applications are, with theirs."""


def shown(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Members that are only kept, as they are answered."""
    return {name: MASK if value and _SECRET.search(name) else value for name, value in kept.items()}


def user_members(user: User, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A user, with what is kept of them."""
    administers = ADMINISTRATOR in user.roles
    return {
        **shown(kept),
        "owner": user.organization,
        "name": user.name,
        "id": user.id,
        "createdTime": to_iso(user.created_at),
        "displayName": user.display_name,
        "email": user.email or "",
        "password": MASK if user.has_password else "",
        "isAdmin": administers,
        "isGlobalAdmin": administers and user.organization == BUILT_IN_ORGANIZATION,
        "isForbidden": not user.admitted,
        "isDeleted": False,
        "roles": [
            {"owner": user.organization, "name": one, "displayName": one} for one in user.roles
        ],
        "permissions": kept.get("permissions", []),
    }


def organization_members(
    organization: Organization, policy: Policy, kept: Mapping[str, Any]
) -> dict[str, Any]:
    """An organization, with what is kept of it."""
    return {
        **shown(kept),
        "owner": OWNER,
        "name": organization.name,
        "createdTime": to_iso(organization.created_at),
        "displayName": organization.display_name,
        "enableExclusiveSignin": bool(policy.exclusive),
        "maxSessions": policy.maximum_user_sessions or 0,
        "masterPassword": "",
        "disableSignin": not organization.enabled,
    }


def application_members(
    application: Application, policy: Policy, kept: Mapping[str, Any]
) -> dict[str, Any]:
    """An application, with what is kept of it. Its secret is nowhere: only its hash is known."""
    return {
        **shown(kept),
        "owner": OWNER,
        "name": application.name,
        "createdTime": to_iso(application.created_at),
        "displayName": application.display_name,
        "organization": application.organization,
        "clientId": application.client_id,
        "clientSecret": "" if application.secret_hash is None else MASK,
        "redirectUris": list(application.redirect_uris),
        "grantTypes": list(application.grant_types),
        "backchannelLogoutUri": application.openid.backchannel_logout_uri or "",
        "enablePassword": True,
        "enableSignUp": False,
        "enableSigninSession": True,
        "enableExclusiveSignin": bool(policy.exclusive),
        "maxSessions": policy.maximum_sessions or 0,
        "disableSignin": not application.is_open,
        "signinMethods": [{"name": "Password", "displayName": "Password", "rule": "All"}],
    }


def login_members(
    application: Application, policy: Policy, kept: Mapping[str, Any]
) -> dict[str, Any]:
    """What anybody may know of an application before they sign in to it."""
    found = application_members(application, policy, {})
    looks = (
        "logo",
        "homepageUrl",
        "favicon",
        "description",
        "themeData",
        "formCss",
        "formCssMobile",
    )
    looks_of = {name: kept[name] for name in looks if name in kept}
    for name in (
        *("redirectUris", "grantTypes", "clientSecret", "createdTime", "backchannelLogoutUri"),
    ):
        del found[name]
    return {**looks_of, **found}


def layer_of(value: Organization | Application) -> Layer:
    """The layer of policy that an object has."""
    if isinstance(value, Organization):
        return Layer("organization", value.name)
    return Layer("application", value.organization, value.name)


def read_organization_members(connection: Connection, organization: Organization) -> dict[str, Any]:
    """An organization as it is stored."""
    kept = read_members(connection, "organization", organization.name, organization.name)
    return organization_members(organization, read_policy(connection, layer_of(organization)), kept)


def read_application_members(connection: Connection, application: Application) -> dict[str, Any]:
    """An application as it is stored."""
    kept = read_members(connection, "application", application.organization, application.name)
    return application_members(application, read_policy(connection, layer_of(application)), kept)


def read_user_members(connection: Connection, user: User) -> dict[str, Any]:
    """A user as they are stored."""
    return user_members(user, read_members(connection, "user", user.organization, user.name))
