"""`/choose-sessions`: somebody who has no room for one more session says which of theirs ends.

Reached in two ways: from the sign-in page, with a ticket that stands for the password that was right;
and on the way into an application, with the browser session.
"""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam.kernel.clock import Instant
from iam.kernel.errors import Invalid
from iam.sessions import lifecycle
from iam.sessions.lifecycle import Ended
from iam.sessions.limits import Crowd, SessionLimit
from iam.sessions.model import BUILT_IN_APPLICATION, EndReason
from iam.signin.arrival import Arrival, NoRoom, Proven
from iam.signin.codes import redeem_code
from iam.signin.enter import approach
from iam.signin.password_sign_in import go_on
from iam.web.accounts import hold
from iam.web.address import origin_of
from iam.web.arriving import (
    LIMIT_TICKET,
    choice_page,
    choose_for_sign_in,
    choose_more,
    signed_in,
)
from iam.web.cookies import FLOW, device_secret, read_cookie
from iam.web.csrf import check_csrf
from iam.web.destination import Destination, find_destination
from iam.web.engine import engine_of, in_hash_pool, in_thread
from iam.web.forms import query_text, read_form
from iam.web.pages import page_errors, see_other
from iam.web.returning import return_path
from iam.web.session_words import application_names
from iam.web.visitor import Visitor, posting_visitor, visitor_of


class ChoiceExpired(Invalid):
    """The ticket is unknown, used, too old, or of another browser."""

    code = "choice_expired"
    title = "This page is no longer valid. Sign in again."


@page_errors
async def show_choice(request: Request) -> Response:
    """GET: the page on the way into an application."""
    engine, now = engine_of(request), engine_of(request).clock()
    visitor = await visitor_of(engine, request, now)
    return_to = return_path(request.query_params.get("return_to"))
    client_id = query_text(request, "application")
    destination, crowd, names = await in_thread(
        lambda: engine.database.write(lambda c: _at_threshold(c, visitor, client_id, now))
    )
    if crowd is None:
        return see_other(return_to)
    return await _for_visitor(request, visitor, destination, crowd, names, return_to, now)


@page_errors
async def choose(request: Request) -> Response:
    """POST: end the chosen sessions and go on."""
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    return_to = return_path(fields.get("return_to"))
    if "ticket" in fields:
        return await _go_on_signing_in(request, fields, return_to, now)
    visitor = await posting_visitor(engine, request, fields, now)

    def work(
        connection: Connection,
    ) -> tuple[tuple[Ended, ...], Destination, Crowd | None, dict[str, str]]:
        # Only what the page has shown: sessions of this person that are in the way here.
        _, crowd, _ = _at_threshold(connection, visitor, fields.get("application", ""), now)
        shown = crowd.sessions if crowd is not None else ()
        ended = lifecycle.end(
            connection,
            [one.id for one in shown if one.id in fields],
            reason=EndReason.ENDED_BY_USER,
            actor=visitor.person.actor,
            now=now,
            random=engine.random,
            origin=origin_of(request, engine.settings),
        )
        return ended, *_at_threshold(connection, visitor, fields.get("application", ""), now)

    ended, destination, crowd, names = await in_thread(lambda: engine.database.write(work))
    engine.count_ended(ended)
    if crowd is None:
        return see_other(return_to)
    return await _for_visitor(
        request, visitor, destination, crowd, names, return_to, now, error=choose_more(crowd)
    )


async def _go_on_signing_in(
    request: Request, fields: Mapping[str, str], return_to: str, now: Instant
) -> Response:
    engine = engine_of(request)
    flow = read_cookie(request, engine.settings, FLOW)
    check_csrf(request, engine.settings, flow, fields.get("csrf"))
    code = await in_thread(
        lambda: engine.database.write(lambda c: redeem_code(c, LIMIT_TICKET, fields["ticket"], now))
    )
    browser = sha256((flow or "").encode()).hexdigest()
    if code is None or code.replayed or code.payload["flow"] != browser:
        raise ChoiceExpired
    payload: Any = code.payload
    device = device_secret(request, engine.settings, engine.random)
    held = await hold(engine, request, now)
    arrival = Arrival(
        application=BUILT_IN_APPLICATION,
        origin=origin_of(request, engine.settings),
        beside=held.ids,
        remember=payload["remember"],
        give_up=tuple(name for name in fields if name.startswith("ses_")),
        device=device,
        mails=engine.settings.sends_mail,
    )
    proven = Proven.from_payload(payload["proven"])
    work = partial(go_on, engine.database, proven, arrival, now, engine.random)
    try:
        started = await in_hash_pool(engine, work)
    except NoRoom as full:
        if not full.crowd.may_choose:
            raise
        destination = await in_thread(
            lambda: engine.database.read(
                lambda c: find_destination(c, fields.get("application", ""), None)
            )
        )
        return await choose_for_sign_in(
            request, destination, arrival, full, return_to, choose_more(full.crowd)
        )
    return await signed_in(request, held, started, return_to, device)


def _at_threshold(
    connection: Connection, visitor: Visitor, client_id: str, now: Instant
) -> tuple[Destination, Crowd | None, dict[str, str]]:
    """Who is in the way of a visitor at an application.

    Raises:
        SessionLimit: and the policy does not let them choose.
    """
    me = visitor.session
    destination = find_destination(connection, client_id, None)
    if destination.application is None:
        return destination, None, {}
    crowd = approach(
        connection,
        browser_session=me.id,
        organization=destination.application.organization,
        application=destination.application.name,
        instance=None,
        now=now,
    ).crowd
    if crowd is not None and not crowd.may_choose:
        raise SessionLimit(crowd)
    return destination, crowd, application_names(connection, crowd.sessions if crowd else ())


async def _for_visitor(
    request: Request,
    visitor: Visitor,
    destination: Destination,
    crowd: Crowd,
    names: dict[str, str],
    return_to: str,
    now: Instant,
    error: str | None = None,
) -> Response:
    return await choice_page(
        request,
        crowd,
        names,
        now,
        csrf=visitor.csrf,
        ticket=None,
        destination=destination,
        return_to=return_to,
        error=error,
    )
