"""The question whether an application may know what it asks for, and the answer to it."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    AccessDeniedError,
)
from authlib.oidc.core.errors import (  # type: ignore[import-untyped] # Authlib ships no types
    ConsentRequiredError,
)
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.directory.applications import Application
from iam.directory.users import User, find_user
from iam.kernel.clock import Instant
from iam.kernel.errors import Invalid
from iam.kernel.events import Event
from iam.kernel.ids import EVENT, make_id
from iam.oidc import pushed
from iam.oidc.authorize_request import (
    CHOSEN,
    SINCE,
    ClientUnknown,
    RedirectUnknown,
    ResponseModeUnknown,
    addressee,
    prompts_of,
    without,
)
from iam.oidc.claims import asked_claims
from iam.oidc.clients import OpenidClient
from iam.oidc.form_post import answer_client
from iam.oidc.protocol import Answer, ProtocolRequest, Provider
from iam.oidc.pushed import PushedRequestUnknown
from iam.sessions.model import LiveRow
from iam.signin import consents
from iam.web.address import origin_of
from iam.web.brand_files import PageBrand
from iam.web.caller import Person
from iam.web.consent_words import scope_words
from iam.web.csrf import csrf_token
from iam.web.engine import engine_of, in_thread
from iam.web.forms import read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import account_address
from iam.web.targets import uri_targets
from iam.web.visitor import posting_visitor

CONSENT_PATH = "/oauth/consent"


class ConsentFormInvalid(Invalid):
    """The answer is to no question that was asked."""

    code = "consent_form_invalid"
    title = "This answer does not belong to a question of ours. Go back to the application."


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is to be asked: whether this application may have these scopes."""

    application: Application
    scopes: tuple[str, ...]
    redirect_uri: str


def consent_question(
    provider: Provider, asked: ProtocolRequest, client: OpenidClient, user: User
) -> Question | None:
    """What there is to ask before the client may have a code; None if nothing is.

    Applications of the organization's own need no consent unless they are set to; `prompt=consent` asks
    in any case.

    Raises:
        ConsentRequiredError: there is something, and the client wants no page shown.
    """
    prompts = prompts_of(asked)
    scopes = _asked_scopes(asked, client)
    if "consent" not in prompts:
        if client.application.openid.consent == "none":
            return None
        if consents.allowed_scopes(provider.connection, user.id, client.get_client_id()) >= {
            *scopes
        }:
            return None
    if "none" in prompts:
        raise ConsentRequiredError("The person has to allow this first.")
    return Question(
        application=client.application,
        scopes=scopes,
        redirect_uri=asked.parameters["redirect_uri"],
    )


def _asked_scopes(asked: ProtocolRequest, client: OpenidClient) -> tuple[str, ...]:
    """What the person is asked to allow: the scopes, and those of what is asked claim by claim."""
    scopes = client.get_allowed_scope(asked.parameters.get("scope")).split()
    return tuple(dict.fromkeys((*scopes, *sorted(asked_claims(asked.parameters).scopes))))


def ask(
    request: Request,
    asked: ProtocolRequest,
    question: Question,
    row: LiveRow,
    token: str,
    brand: PageBrand,
) -> Response:
    """The page with the question."""
    return render(
        request,
        "consent.html",
        person=Person(row),
        csrf=csrf_token(token),
        form_targets=uri_targets(question.redirect_uri),
        action=CONSENT_PATH,
        application=question.application.display_name,
        user=row.display_name,
        scopes=[scope_words(scope) for scope in question.scopes],
        asked=urlencode(asked.again),
        brand=brand,
        another=account_address(
            f"/oauth/authorize?{urlencode(asked.again | {CHOSEN: '1'})}",
            question.application.client_id,
        ),
    )


@page_errors
async def answer_consent(request: Request) -> Response:
    """`POST /oauth/consent`: allow and go on with the request, or tell the client that it may not."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    visitor = await posting_visitor(engine, request, fields, now)
    decision = fields.get("decision")
    if decision not in ("allow", "deny"):
        raise ConsentFormInvalid
    sent = ProtocolRequest("GET", parse_qsl(fields.get("asked", ""), keep_blank_values=True))
    origin = origin_of(request, engine.settings)

    def work(connection: Connection) -> tuple[Answer | None, ProtocolRequest]:
        provider = Provider(connection, engine, now, origin)
        try:
            asked = provider.take_up(sent, since=SINCE, chosen=CHOSEN)
            client, redirect_uri = addressee(connection, asked)
        except (
            ClientUnknown,
            RedirectUnknown,
            ResponseModeUnknown,
            PushedRequestUnknown,
        ) as error:
            raise ConsentFormInvalid from error
        if visitor.session.organization != client.application.organization:
            raise ConsentFormInvalid
        if decision == "allow":
            _note(provider, asked, client, visitor.session)
            if "request_uri" in asked.again:
                pushed.drop_prompt(connection, asked.again["request_uri"], "consent")
            return None, asked
        no = AccessDeniedError("The person has not allowed this.")
        no.redirect_uri, no.state = redirect_uri, asked.parameters.get("state")
        return provider.refuse(no), asked

    refused, asked = await in_thread(lambda: engine.database.write(work))
    if refused is not None:
        return answer_client(request, asked, refused)
    return see_other(f"/oauth/authorize?{urlencode(without(asked, 'consent'))}")


def _note(provider: Provider, asked: ProtocolRequest, client: OpenidClient, row: LiveRow) -> None:
    connection, now = provider.connection, provider.now
    user = find_user(connection, row.organization, row.user)
    scopes = _asked_scopes(asked, client)
    together = consents.allow(connection, user.id, client.get_client_id(), scopes, now)
    audit.append(connection, [_granted(provider, client, row, together, now)])


def _granted(
    provider: Provider, client: OpenidClient, row: LiveRow, scopes: tuple[str, ...], now: Instant
) -> Event:
    return Event(
        id=make_id(EVENT, now, provider.engine.random),
        at=now,
        type="consent.granted",
        actor=Person(row).actor,
        organization=row.organization,
        user=row.user,
        application=client.application.name,
        origin=provider.origin,
        data={"scopes": list(scopes)},
    )
