"""Users."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import (
    Administrator,
    Cursor,
    Limit,
    OwnCall,
    PathName,
    Reader,
    Text,
    answer,
    nothing,
    require_organization,
)
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.mails_api import MailView, mail_view
from iam.api.schemas import UserBody, UserPatch
from iam.api.views import UsersView, UserView, user_view
from iam.delivery.mails import Mail, find_mail
from iam.directory import users
from iam.directory.organizations import find_organization
from iam.directory.preferences import Preferences
from iam.directory.users import UserChange, find_user
from iam.sessions import rules
from iam.sessions.lifecycle import Ended
from iam.signin.enrolment import remove_by_administrator
from iam.signin.factors import having_factor
from iam.signin.password_links import mail_link

router = APIRouter(tags=["directory"])


@router.get(
    "/v1/users",
    operation_id="listUsers",
    summary="Users of one organization by name",
    response_model=UsersView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_users(
    call: Reader, organization: Text = None, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """By default of the caller's own organization."""
    owner = organization or call.home
    require_organization(call, owner)

    def work(connection: Connection) -> tuple[tuple[users.User, ...], frozenset[str]]:
        find_organization(connection, owner)
        found = users.list_users(connection, owner, after=cursor, limit=limit + 1)
        return found, having_factor(connection, [one.id for one in found])

    found, having = call.engine.database.read(work)
    following = found[limit - 1].name if len(found) > limit else None
    items = [user_view(one, second_factor=one.id in having) for one in found[:limit]]
    return answer({"items": items, "next": following})


@router.post(
    "/v1/users",
    operation_id="createUser",
    summary="Add a user",
    status_code=201,
    response_model=UserView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def create_user(call: Administrator, body: UserBody) -> Response:
    """Without `password` nobody can sign in as this user: an application may start its sessions."""
    owner = body.organization
    require_organization(call, owner)
    password_hash = _hashed(call, body.password)

    def work(connection: Connection) -> dict[str, Any]:
        rules.share_rules(connection, owner)
        find_organization(connection, owner)
        made = users.create_user(
            connection,
            organization=owner,
            name=body.name,
            password_hash=password_hash,
            display_name=body.display_name,
            email=body.email,
            roles=body.roles,
            preferences=Preferences(body.locale, body.zoneinfo),
            now=call.now,
            random=call.engine.random,
        )
        event = call.event(
            "user.created", organization=owner, user=body.name, data={"roles": body.roles}
        )
        audit.append(connection, [event])
        return user_view(made)

    made = call.engine.database.write(work)
    return answer(made, 201, location=f"/v1/users/{owner}/{body.name}")


@router.get(
    "/v1/users/{organization}/{name}",
    operation_id="getUser",
    summary="One user",
    response_model=UserView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def get_user(call: Reader, organization: PathName, name: PathName) -> Response:
    """Whether there is a password, but nothing of it."""
    require_organization(call, organization)

    def work(connection: Connection) -> dict[str, Any]:
        return _view(connection, find_user(connection, organization, name))

    return answer(call.engine.database.read(work))


@router.patch(
    "/v1/users/{organization}/{name}",
    operation_id="updateUser",
    summary="Change a user",
    response_model=UserView,
    responses=errors(401, 403, 404, 409, body=True),
    openapi_extra=secured(BY_SESSION),
)
def update_user(
    call: Administrator, organization: PathName, name: PathName, body: UserPatch
) -> Response:
    """Disabling them or setting a new password ends all their sessions. New roles, names and addresses
    hold for their live sessions at once."""
    require_organization(call, organization)
    given = body.model_fields_set
    change = UserChange(
        display_name=body.display_name,
        email=(body.email or "") if "email" in given else None,
        locale=(body.locale or "") if "locale" in given else None,
        zoneinfo=(body.zoneinfo or "") if "zoneinfo" in given else None,
        roles=body.roles,
        enabled=body.enabled,
        password_hash=_hashed(call, body.password),
    )

    def work(connection: Connection) -> tuple[dict[str, Any], tuple[Ended, ...]]:
        changed, ended = users.update_user(connection, organization, name, change, **call.cause)
        if given:
            data: dict[str, Any] = {"changed": sorted(given)}
            if body.roles is not None:
                data["roles"] = body.roles
            event = call.event("user.updated", organization=organization, user=name, data=data)
            audit.append(connection, [event])
        return _view(connection, changed), ended

    view, ended = call.engine.database.write(work)
    call.engine.count_ended(ended)
    return answer(view)


@router.post(
    "/v1/users/{organization}/{name}/password-link",
    operation_id="mailPasswordLink",
    summary="Mail a user a link to set a password",
    status_code=201,
    response_model=MailView,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def mail_password_link(call: Administrator, organization: PathName, name: PathName) -> Response:
    """An invitation to whoever has none, which works for a week; else it works for an hour. Once, and as
    long as the password that there is does not change. It signs nobody in."""
    require_organization(call, organization)

    def work(connection: Connection) -> Mail:
        user = find_user(connection, organization, name)
        sends = call.engine.settings.sends_mail
        mail_id = mail_link(connection, user, sends_mail=sends, origin=call.origin, **call.cause)
        return find_mail(connection, mail_id)

    return answer(mail_view(call.engine.database.write(work)), 201)


@router.delete(
    "/v1/users/{organization}/{name}",
    operation_id="deleteUser",
    summary="Delete a user and end all their sessions",
    status_code=204,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def delete_user(call: Administrator, organization: PathName, name: PathName) -> Response:
    """Their ID is never given to anyone else."""
    require_organization(call, organization)

    def work(connection: Connection) -> tuple[Ended, ...]:
        ended = users.delete_user(connection, organization, name, **call.cause)
        event = call.event("user.deleted", organization=organization, user=name)
        audit.append(connection, [event])
        return ended

    call.engine.count_ended(call.engine.database.write(work))
    return nothing()


@router.delete(
    "/v1/users/{organization}/{name}/second-factor",
    operation_id="removeSecondFactor",
    summary="Remove a user's second factor",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def remove_second_factor(call: Administrator, organization: PathName, name: PathName) -> Response:
    """For who has lost it, and their recovery codes: their password alone signs them in again. Ends all
    their sessions. 404 `factor_not_found`: there is none."""
    require_organization(call, organization)
    ended = call.engine.database.write(
        lambda c: remove_by_administrator(c, organization, name, origin=call.origin, **call.cause)
    )
    call.engine.count_ended(ended)
    return nothing()


def _view(connection: Connection, user: users.User) -> dict[str, Any]:
    return user_view(user, second_factor=bool(having_factor(connection, [user.id])))


def _hashed(call: OwnCall, password: str | None) -> str | None:
    """The hash to store, made in the pool that bounds how many are made at once."""
    if password is None:
        return None
    return call.engine.hash_pool.submit(call.engine.passwords.hash, password).result()
