"""What one has allowed applications to know."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import OwnCall, OwnSession, PathName, answer, nothing
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.views import View
from iam.directory.applications import find_application
from iam.directory.names import ApplicationMissing
from iam.directory.users import find_user
from iam.kernel.clock import to_iso
from iam.kernel.errors import Missing
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.model import EndReason, Selection
from iam.signin import consents

router = APIRouter(tags=["session"])


class ConsentMissing(Missing):
    """The caller has allowed no application of this name anything."""

    code = "consent_not_found"
    title = "You have allowed this application nothing."


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

    def work(connection: Connection) -> tuple[Ended, ...]:
        try:
            client_id = find_application(connection, own.organization, application).client_id
        except ApplicationMissing as error:
            raise ConsentMissing from error
        if not consents.withdraw(connection, _user_id(connection, call), client_id):
            raise ConsentMissing
        about = {"organization": own.organization, "user": own.user, "application": application}
        audit.append(connection, [call.event("consent.withdrawn", **about)])
        return lifecycle.end_selected(
            connection,
            Selection(**about),
            reason=EndReason.ENDED_BY_USER,
            origin=call.origin,
            note="consent withdrawn",
            **call.cause,
        )

    ended = call.engine.database.write(work)
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
