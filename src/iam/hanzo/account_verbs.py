"""Who one is: `get-account`, `userinfo`, `user`; and what one would sign in to: `get-app-login`."""

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from iam.directory.applications import Application, find_application, find_client
from iam.directory.legacy import read_members
from iam.directory.names import ApplicationMissing, OrganizationMissing, UserMissing
from iam.directory.organizations import find_organization
from iam.directory.users import User, find_user
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, failed, json_answer, respond
from iam.hanzo.errors import Refused
from iam.hanzo.objects import (
    layer_of,
    login_members,
    read_organization_members,
    read_user_members,
)
from iam.hanzo.reach import administers
from iam.hanzo.verbs import PREFIXES, Verb, get
from iam.kernel.clock import to_iso
from iam.kernel.errors import Forbidden, Unauthenticated
from iam.oidc.access_tokens import read_access_token
from iam.oidc.clients import redirect_allowed
from iam.oidc.userinfo import claims_of
from iam.sessions.layers import read_policy
from iam.sessions.model import BUILT_IN_APPLICATION, BUILT_IN_ORGANIZATION


def get_account(call: Call) -> Reply:
    """`GET get-account`: the user who calls, and their organization. An application that administers may
    name one (`userId=owner/name`)."""

    def work(connection: Connection) -> Reply:
        user = _who(connection, call)
        members = read_user_members(connection, user)
        # The one that was shown, and never one more: a cookie is not to become a token that scripts read.
        members["accessToken"] = call.shown.access_token or ""
        organization = find_organization(connection, user.organization)
        return Reply(
            sub=user.id,
            name=user.name,
            data=members,
            data2=read_organization_members(connection, organization),
        )

    return call.engine.database.read(work)


def _who(connection: Connection, call: Call) -> User:
    named = call.query("userId")
    if call.person is None:
        if call.shown.caller is None or not named:
            raise Unauthenticated
        organization, name = split_id(named, 2, "userId")
        if not administers(call, organization):
            raise Forbidden
        try:
            return find_user(connection, organization, name)
        except UserMissing as error:
            raise Refused(f"The user: {named[:200]} doesn't exist") from error
    return _user(connection, call)


def _user(connection: Connection, call: Call) -> User:
    """The user who calls.

    Raises:
        Unauthenticated: nobody does, or they are not there any more.
    """
    if call.person is None:
        raise Unauthenticated
    session = call.person.session
    try:
        return find_user(connection, session.organization, session.user)
    except UserMissing as error:
        raise Unauthenticated from error


def userinfo(call: Call) -> Response:
    """`GET` or `POST userinfo`: claims by the scopes of the access token; without one, who it is."""
    engine = call.engine

    def work(connection: Connection) -> dict[str, Any]:
        user = _user(connection, call)
        scope: tuple[str, ...] = ()
        audience = ""
        if call.shown.access_token is not None:
            issuer = engine.settings.issuer
            token = read_access_token(
                connection, call.shown.access_token, engine.keys, issuer, call.now
            )
            scope, audience = token.scope, token.client_id
        assert call.person is not None  # noqa: S101 - whose user was just found
        claims = claims_of(connection, user.id, scope, call.person.session)
        return {**claims, "iss": engine.settings.issuer, "aud": audience}

    return json_answer(engine.database.read(work))


def user(call: Call) -> Response:
    """`GET user`: the same person in the form that Laravel reads."""

    def work(connection: Connection) -> dict[str, Any]:
        found = _user(connection, call)
        made = to_iso(found.created_at)
        return {
            "id": found.id,
            "name": found.display_name,
            "email": found.email or "",
            "email_verified_at": None,
            "created_at": made,
            "updated_at": made,
        }

    return json_answer(call.engine.database.read(work))


def get_app_login(call: Call) -> Response:
    """`GET get-app-login`: an application as its sign-in page needs it, and whether a request would do."""

    def work(connection: Connection) -> Response:
        application = _asked_application(connection, call)
        if application is None or not application.is_open:
            return failed("Invalid client_id")
        uri = call.query("redirectUri")
        if uri and not redirect_allowed(uri, application.redirect_uris):
            words = f"Redirect URI: {uri[:200]} doesn't exist in the allowed Redirect URI list"
            return failed(words)
        kind = call.query("responseType")
        if kind and kind not in ("code", "token", "id_token"):
            return failed(f"Response_type: {kind[:40]} is not supported")
        kept = read_members(connection, "application", application.organization, application.name)
        shown = login_members(application, read_policy(connection, layer_of(application)), kept)
        organization = find_organization(connection, application.organization)
        names = {"name": organization.name, "displayName": organization.display_name}
        return respond(Reply(data={**shown, "organizationObj": {"owner": "admin", **names}}))

    return call.engine.database.read(work)


def _asked_application(connection: Connection, call: Call) -> Application | None:
    """By its client ID, or by an ID of theirs (`admin/name`, where the name alone has to tell): there, that
    is the server's own."""
    client_id = call.query("clientId")
    if client_id:
        return find_client(connection, client_id)
    _, name = split_id(call.query("id"), 2)
    if name != BUILT_IN_APPLICATION:
        return None
    try:
        return find_application(connection, BUILT_IN_ORGANIZATION, BUILT_IN_APPLICATION)
    except (ApplicationMissing, OrganizationMissing):
        return None


VERBS: tuple[Verb, ...] = (
    get("get-account", get_account),
    get("get-app-login", get_app_login),
    get("user", user),
    # Called by scripts of any origin. Hanzo IAM refuses with 401, as RFC 6750 says; Casdoor does not.
    *(
        Verb(
            name="userinfo",
            methods=("GET", "POST"),
            handler=userinfo,
            cross_origin=True,
            own_status=prefix != "/api/",
            prefixes=(prefix,),
        )
        for prefix in PREFIXES
    ),
)
