"""The mails that were sent about new devices, and what became of each."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import Connection
from starlette.responses import Response

from iam import audit
from iam.api.access import Administrator, Cursor, Limit, PathName, Reader, Text, answer, reach
from iam.api.documents import BY_SESSION, errors, secured
from iam.api.views import View, iso
from iam.delivery import mails
from iam.delivery.mails import Mail, MailMissing
from iam.kernel.clock import to_iso

router = APIRouter(tags=["mails"])

State = Annotated[Literal["pending", "delivered", "dead"] | None, Query()]


class MailView(View):
    """One mail, and how far it has come."""

    id: str
    kind: Literal["device", "invitation", "reset"] = Field(
        description="About a sign-in from a new device, or with a link to set a password."
    )
    organization: str
    user: str
    session: str | None = Field(description="The session of a new device.")
    recipient: str
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    next_at: datetime | None = Field(description="When it is tried again; null if it is not.")
    last_status: int | None = Field(description="The status of the mail server's last answer.")
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None
    link_expires_at: datetime
    link_used_at: datetime | None


class MailsView(View):
    items: list[MailView]
    next: str | None = Field(description="The next page's `cursor`; null on the last page.")


def mail_view(mail: Mail) -> dict[str, Any]:
    """A mail, without its link."""
    return {
        "id": mail.id,
        "kind": mail.kind,
        "organization": mail.organization,
        "user": mail.user,
        "session": mail.session,
        "recipient": mail.recipient,
        "state": mail.state,
        "attempts": mail.attempts,
        "next_at": to_iso(mail.next_at) if mail.state == "pending" else None,
        "last_status": mail.last_status,
        "last_error": mail.last_error,
        "created_at": to_iso(mail.created_at),
        "delivered_at": iso(mail.delivered_at),
        "link_expires_at": to_iso(mail.link_expires_at),
        "link_used_at": iso(mail.link_used_at),
    }


@router.get(
    "/v1/mails",
    operation_id="listMails",
    summary="Mails and what became of them, newest first",
    response_model=MailsView,
    responses=errors(401, 403, 404),
    openapi_extra=secured(BY_SESSION),
)
def list_all(
    call: Reader,
    organization: Text = None,
    state: State = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """`state=dead`: what was given up. Without `organization`: all that the caller administers."""
    scope = reach(call, organization, None)
    found = call.engine.database.read(
        lambda c: mails.list_mails(
            c, organization=scope.organization, state=state, before=cursor, limit=limit
        )
    )
    following = found[-1].id if len(found) == limit else None
    return answer({"items": [mail_view(one) for one in found], "next": following})


@router.post(
    "/v1/mails/{id}/resend",
    operation_id="resendMail",
    summary="Send a mail once more",
    response_model=MailView,
    responses=errors(401, 403, 404, 409),
    openapi_extra=secured(BY_SESSION),
)
def resend(call: Administrator, id: PathName) -> Response:  # noqa: A002 - the parameter's name in the path
    """With all its attempts, whether it was delivered or given up, to the same address. Not when its
    link has been used or is too old."""

    def work(connection: Connection) -> Mail:
        found = mails.find_mail(connection, id)
        if not call.caller.reaches(found.organization):
            raise MailMissing
        again = mails.resend(connection, id, call.now)
        event = call.event("mail.resent", organization=found.organization, data={"mail": id})
        audit.append(connection, [event])
        return again

    return answer(mail_view(call.engine.database.write(work)))
