"""`login` of type `saml`: the request that their sign-in page was opened with, answered for that page.

The message is believed and answered by the SAML door. Their page hands on no signature of a query, so that
applications whose requests must be signed have to be sent to `/saml/sso`.
"""

from dataclasses import dataclass
from urllib.parse import quote_plus

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply
from iam.hanzo.errors import Refused
from iam.kernel.errors import Unauthenticated
from iam.keys import SamlKey
from iam.saml.answer import Choose, ShowCode, SignIn
from iam.saml.bindings import Received, from_form, from_query, to_field
from iam.saml.errors import SamlMessageRefused
from iam.saml.key import saml_key
from iam.saml.sso import PATH as SSO
from iam.saml.sso import Wish, accept, take_up
from iam.sessions.lifecycle import Started
from iam.sessions.model import LiveRow
from iam.web.pages import see_other

_LONGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply, and the session that was started for it, to be counted after the commit."""

    reply: Reply
    started: Started | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What leads back to the request that was kept ('' if none came: somebody goes to the application by
    themselves), and the key to sign the answer with."""

    handle: str
    key: SamlKey


def prepare(call: Call) -> Prepared:
    """Keep the request that came in the body. Blocks, in transactions of its own.

    Raises:
        Refused, SamlMessageRefused and the like: it is not believed.
    """
    return Prepared(_kept(call), saml_key(call.engine, call.now))


def _kept(call: Call) -> str:
    text = call.body.get("samlRequest")
    if not text:
        return ""
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise Refused("samlRequest must be a SAML request.")
    return accept(call.engine, _received(text, call.text("relayState")), call.now)


def _received(text: str, relay_state: str) -> Received:
    """As it came to their page: by redirect, packed, or posted."""
    query = f"SAMLRequest={quote_plus(text)}"
    if relay_state:
        query += f"&RelayState={quote_plus(relay_state)}"
    try:
        return from_query(query.encode())
    except SamlMessageRefused:
        return from_form({"SAMLRequest": text, "RelayState": relay_state})


def answer_request(
    connection: Connection, call: Call, row: LiveRow, prepared: Prepared, client_id: str
) -> Answered:
    """The response for whoever holds this browser session.

    Raises:
        Unauthenticated: they have to sign in (again) first.
        Refused: the request is of another application than was named, or they have to choose what ends.
    """
    engine, now = call.engine, call.now
    wish = Wish(handle=prepared.handle, client_id=client_id, origin=call.origin)
    asked, decision = take_up(connection, engine, prepared.key, wish, row, now)
    if client_id and asked.application.client_id != client_id:
        raise Refused("The application and its request do not go together.")
    if isinstance(decision, SignIn):
        raise Unauthenticated
    if isinstance(decision, ShowCode):
        raise Refused("Use the sign-in page for this way to sign in.")
    if isinstance(decision, Choose):
        raise Refused("Too many sessions: use the sign-in page to choose which one ends.")
    there = {"redirectUrl": asked.consumer, "method": "POST"}
    reply = Reply(data=to_field(decision.root), data2=there, data3=asked.relay_state)
    return Answered(reply, decision.started)


async def metadata(_request: Request) -> Response:
    """`GET /api/saml/metadata`: on to our own, which is the same for every application."""
    return see_other("/saml/metadata")


async def redirect(request: Request) -> Response:
    """`GET /api/saml/redirect/{owner}/{application}`: on to our own, with the query as it was signed."""
    return see_other(f"{SSO}?{request.url.query}")


def routes() -> list[BaseRoute]:
    """Their routes."""
    return [
        Route("/api/saml/metadata", metadata),
        Route("/api/saml/redirect/{owner}/{application}", redirect),
    ]
