"""Tokens with which applications register themselves."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, Field
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import Administrator, answer, require_organization
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.schemas import Body, Name
from iam.directory.organizations import find_organization
from iam.directory.registrations import create_token
from iam.kernel.clock import to_iso

router = APIRouter(tags=["directory"])

_LONGEST = 30 * 24 * 60 * 60


def _whole(value: object) -> object:
    # To JSON Schema 60.0 is an integer as well.
    return int(value) if isinstance(value, float) and value.is_integer() else value


class RegistrationTokenBody(Body):
    organization: Name
    lifetime: Annotated[int, Field(strict=True, ge=60, le=_LONGEST), BeforeValidator(_whole)] = (
        Field(3600, description="Seconds.")
    )
    uses: Annotated[int, Field(strict=True, ge=1, le=1000), BeforeValidator(_whole)] = Field(
        1, description="How many applications may register with it."
    )


class RegistrationTokenView(BaseModel):
    id: str
    organization: str
    uses: int
    expires_at: datetime
    token: str = Field(description="Shown this once.")


@router.post(
    "/v1/registration-tokens",
    operation_id="createRegistrationToken",
    summary="Let applications register themselves",
    status_code=201,
    response_model=RegistrationTokenView,
    responses=errors(401, 403, 404, body=True),
    openapi_extra=secured(BY_SESSION),
)
def create_registration_token(call: Administrator, body: RegistrationTokenBody) -> Response:
    """At `/oauth/register`, in this organization."""
    require_organization(call, body.organization)

    def work(connection: Connection) -> dict[str, object]:
        find_organization(connection, body.organization)
        made, text = create_token(
            connection,
            body.organization,
            lifetime=body.lifetime,
            uses=body.uses,
            **call.cause,
        )
        data = {"registration_token": made.id, "uses": body.uses}
        event = call.event("registration_token.created", organization=body.organization, data=data)
        audit.append(connection, [event])
        return {
            "id": made.id,
            "organization": made.organization,
            "uses": made.uses_left,
            "expires_at": to_iso(made.expires_at),
            "token": text,
        }

    return answer(call.engine.database.write(work), 201)
