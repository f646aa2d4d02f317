"""Dynamic registration (RFC 7591) with an initial token, and its management (RFC 7592)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from iam import audit
from iam.directory.applications import (
    Application,
    ApplicationChange,
    create_application,
    delete_application,
    find_client,
    update_application,
)
from iam.directory.client_settings import MethodConflict
from iam.directory.openid_settings import OpenidSettings
from iam.directory.registrations import manages, note_registration, use_token
from iam.kernel.clock import Instant
from iam.kernel.events import Actor, Event, application_actor
from iam.kernel.ids import APPLICATION, EVENT, is_id, make_id
from iam.keys.client_keys import KeysRefused, check_jwks
from iam.oidc.client_metadata import ClientMetadata, MetadataInvalid, metadata_of, read_metadata
from iam.sessions.lifecycle import Ended
from iam.sessions.rules import hold_rules
from iam.web.engine import Engine, engine_of, in_thread

_LARGEST = 64 * 1024
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class _TokenInvalid(Exception):
    """The token does not allow this."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: dict[str, Any] | None
    ended: tuple[Ended, ...] = ()


async def register(request: Request) -> Response:
    """`POST /oauth/register` with `Authorization: Bearer` and an initial token: a new application."""
    return await _answered(request, _register)


async def manage(request: Request) -> Response:
    """`GET`, `PUT`, `DELETE /oauth/register/{client_id}` with the token that the registration gave."""
    works = {"GET": _read, "HEAD": _read, "PUT": _replace, "DELETE": _delete}
    return await _answered(request, works[request.method])


@dataclass(frozen=True, slots=True)
class _Call:
    engine: Engine
    now: Instant
    token: str
    client_id: str
    body: object


async def _answered(request: Request, work: Callable[[Connection, _Call], _Answer]) -> Response:
    engine = engine_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise _TokenInvalid
        body = await _body(request) if request.method in ("POST", "PUT") else None
        client_id = request.path_params.get("client_id", "")
        call = _Call(engine, engine.clock(), token.strip(), client_id, body)
        answer = await in_thread(lambda: engine.database.write(lambda c: work(c, call)))
    except _TokenInvalid:
        headers = {**_NO_STORE, "www-authenticate": 'Bearer error="invalid_token"'}
        refusal = {"error": "invalid_token", "error_description": "This token does not allow it."}
        return JSONResponse(refusal, 401, headers=headers)
    except MetadataInvalid as error:
        refusal = {"error": error.code, "error_description": error.description}
        return JSONResponse(refusal, 400, headers=_NO_STORE)
    engine.count_ended(answer.ended)
    if answer.body is None:
        return Response(status_code=answer.status, headers=_NO_STORE)
    return JSONResponse(answer.body, answer.status, headers=_NO_STORE)


async def _body(request: Request) -> object:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = await request.body()
    if kind != "application/json" or len(text) > _LARGEST:
        raise MetadataInvalid("invalid_client_metadata", "Send application/json.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MetadataInvalid("invalid_client_metadata", "This is no JSON.") from error


def _register(connection: Connection, call: _Call) -> _Answer:
    found = use_token(connection, call.token, call.now)
    if found is None:
        raise _TokenInvalid
    asked = _metadata(call.body)
    hold_rules(connection, found.organization)
    try:
        made, secret = create_application(
            connection,
            organization=found.organization,
            name=f"client-{call.engine.random(8).hex()}",
            display_name=asked.client_name,
            redirect_uris=asked.redirect_uris,
            post_logout_redirect_uris=asked.post_logout_redirect_uris,
            grant_types=asked.grant_types,
            public=asked.public,
            client=asked.settings,
            # Nobody has looked at it: each person is asked before it learns anything.
            openid=OpenidSettings(consent="required"),
            now=call.now,
            random=call.engine.random,
        )
    except MethodConflict as error:
        raise MetadataInvalid("invalid_client_metadata", str(error)) from error
    token = note_registration(connection, made.organization, made.name, call.engine.random)
    data: dict[str, object] = {"registration_token": found.id}
    _note(connection, call, "application.created", made, found.created_by, data)
    body = _shown(call, made, token)
    if secret is not None:
        body |= {"client_secret": secret, "client_secret_expires_at": 0}
    return _Answer(201, body)


def _read(connection: Connection, call: _Call) -> _Answer:
    return _Answer(200, _shown(call, _managed(connection, call), call.token))


def _replace(connection: Connection, call: _Call) -> _Answer:
    before = _managed(connection, call)
    given = call.body if isinstance(call.body, dict) else {}
    secret = given.get("client_secret")
    if given.get("client_id") != before.client_id or not (
        secret is None or (isinstance(secret, str) and before.authenticates(secret))
    ):
        raise MetadataInvalid(
            "invalid_client_metadata", "The client_id or client_secret is not its."
        )
    asked, actor = _metadata(call.body), application_actor(before.organization, before.name)
    change = ApplicationChange(
        display_name=asked.client_name,
        redirect_uris=asked.redirect_uris,
        post_logout_redirect_uris=asked.post_logout_redirect_uris,
        grant_types=asked.grant_types,
        client=asked.model_dump(include=asked.settings_members),
    )
    try:
        changed, ended = update_application(
            connection,
            before.organization,
            before.name,
            change,
            actor=actor,
            now=call.now,
            random=call.engine.random,
        )
    except MethodConflict as error:
        raise MetadataInvalid("invalid_client_metadata", str(error)) from error
    _note(connection, call, "application.updated", changed, actor, {"changed": ["metadata"]})
    return _Answer(200, _shown(call, changed, call.token), ended)


def _delete(connection: Connection, call: _Call) -> _Answer:
    application = _managed(connection, call)
    actor = application_actor(application.organization, application.name)
    ended = delete_application(
        connection,
        application.organization,
        application.name,
        actor=actor,
        now=call.now,
        random=call.engine.random,
    )
    _note(connection, call, "application.deleted", application, actor, {})
    return _Answer(204, None, ended)


def _managed(connection: Connection, call: _Call) -> Application:
    known = is_id(APPLICATION, call.client_id)
    found = find_client(connection, call.client_id) if known else None
    if found is None or not manages(connection, found.organization, found.name, call.token):
        raise _TokenInvalid
    return found


def _metadata(body: object) -> ClientMetadata:
    asked = read_metadata(body)
    try:
        check_jwks(asked.jwks)
    except KeysRefused as error:
        raise MetadataInvalid("invalid_client_metadata", f"jwks: {error}") from error
    return asked


def _shown(call: _Call, application: Application, token: str) -> dict[str, Any]:
    address = f"{call.engine.settings.issuer}/oauth/register/{application.client_id}"
    return {
        **metadata_of(application),
        "registration_access_token": token,
        "registration_client_uri": address,
    }


def _note(
    connection: Connection,
    call: _Call,
    type_: str,
    application: Application,
    actor: Actor,
    data: dict[str, object],
) -> None:
    event = Event(
        id=make_id(EVENT, call.now, call.engine.random),
        at=call.now,
        type=type_,
        actor=actor,
        organization=application.organization,
        application=application.name,
        data=data,
    )
    audit.append(connection, [event])
