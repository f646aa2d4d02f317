"""What one has allowed applications to know."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam.api.access import OwnCall, OwnSession, PathName, answer, nothing
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.views import View
from iam.directory.users import find_user
from iam.kernel.clock import to_iso
from iam.signin import consents

router = APIRouter(tags=["session"])


class ConsentView(View):
    application: str
    display_name: str
    scopes: list[str]
    granted_at: datetime


class ConsentsView(View):
    items: list[ConsentView]


@router.get(
    "/v1/me/consents",
    operation_id="listMyConsents",
    summary="What one has allowed applications to know",
    response_model=ConsentsView,
    responses=errors(401),
    openapi_extra=secured(BY_SESSION),
)
def my_consents(call: OwnSession) -> Response:
    """By application. Those that need no consent are not among them."""

    def work(connection: Connection) -> tuple[consents.Consent, ...]:
        return consents.list_consents(connection, _user_id(connection, call))

    found = call.engine.database.read(work)
    return answer({"items": [_view(one) for one in found]})


@router.delete(
    "/v1/me/consents/{application}",
    operation_id="withdrawMyConsent",
    summary="Withdraw what one has allowed an application",
    status_code=204,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def withdraw(call: OwnSession, application: PathName) -> Response:
    """Ends one's sessions at that application, on all devices; it is asked for anew."""
    own = call.caller.session
    ended = call.engine.database.write(
        lambda c: consents.withdraw(
            c,
            own.organization,
            own.user,
            application,
            now=call.now,
            random=call.engine.random,
            origin=call.origin,
        )
    )
    call.engine.count_ended(ended)
    return nothing(own_session_ended=any(one.session.id == own.id for one in ended))


def _user_id(connection: Connection, call: OwnCall) -> str:
    own = call.caller.session
    return find_user(connection, own.organization, own.user).id


def _view(consent: consents.Consent) -> dict[str, Any]:
    return {
        "application": consent.application,
        "display_name": consent.display_name,
        "scopes": list(consent.scopes),
        "granted_at": to_iso(consent.granted_at),
    }
