"""`/oauth/callback/{provider}`: somebody comes back from a provider, with its answer."""

from functools import partial
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from iam import audit
from iam.directory.providers import Provider, ProviderMissing, find_provider_by_id
from iam.oidc.upstream.answer import vouched_for
from iam.oidc.upstream.endpoints import AnswerRefused
from iam.oidc.upstream.journey import Journey, Underway
from iam.oidc.upstream.words import ProviderFailed, journey_errors, way_back
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.signin.arrival import Arrival, NoRoom
from iam.signin.federation import Vouched, failed, sign_in_through
from iam.signin.federation_requests import FederationRequestUnknown, take_request
from iam.web.accounts import hold
from iam.web.address import origin_of
from iam.web.arriving import choose_for_sign_in, signed_in
from iam.web.cookies import FLOW, device_secret, read_cookie
from iam.web.destination import find_destination
from iam.web.engine import engine_of, in_thread
from iam.web.linking import link_to_visitor
from iam.web.pages import page_errors, see_other

_LONGEST = 8192
_CANCELLED = "access_denied"


@page_errors
async def come_back(request: Request) -> Response:
    """GET: take the answer once, in the browser that was sent; then see what it is worth."""
    engine, now = engine_of(request), engine_of(request).clock()
    answer, repeated = _parameters(request)
    provider_id = request.path_params["provider"].replace("\x00", "")
    flow = read_cookie(request, engine.settings, FLOW)

    def work(connection: Connection) -> tuple[Provider | None, dict[str, Any] | None]:
        payload = take_request(connection, answer.get("state", ""), provider_id, flow, now)
        return find_provider_by_id(connection, provider_id), payload

    provider, payload = await in_thread(lambda: engine.database.write(work))
    if payload is None or repeated:
        raise FederationRequestUnknown
    if provider is None or not provider.enabled:
        raise ProviderMissing
    under_way = Underway.from_payload(engine, provider, payload)
    return await _arrive(request, provider, under_way.journey, under_way, answer)


def _parameters(request: Request) -> tuple[dict[str, str], bool]:
    """The parameters of an answer, and whether one came twice: which is meant, others may judge
    otherwise."""
    if len(request.url.query) > _LONGEST:
        return {}, True
    found: dict[str, str] = {}
    pairs = request.query_params.multi_items()
    for name, value in pairs:
        found.setdefault(name, value.encode("utf-8", "replace").decode())
    return found, len(found) < len(pairs)


@journey_errors
async def _arrive(
    request: Request,
    provider: Provider,
    journey: Journey,
    under_way: Underway,
    answer: dict[str, str],
) -> Response:
    engine = engine_of(request)
    try:
        vouched = await vouched_for(engine, provider, answer, under_way, engine.clock())
    except ProviderFailed:
        if answer.get("error") == _CANCELLED:
            return see_other(way_back(provider, journey, **{"with": "cancelled"}))
        await _note(request, provider, ProviderFailed.code)
        raise
    except AnswerRefused as refused:
        await _note(request, provider, refused.code)
        raise
    if journey.link is not None:
        return await link_to_visitor(request, journey.link or "", vouched)
    return await _sign_in(request, provider, journey, vouched)


async def _sign_in(
    request: Request, provider: Provider, journey: Journey, vouched: Vouched
) -> Response:
    engine, now = engine_of(request), engine_of(request).clock()
    held = await hold(engine, request, now)
    device = device_secret(request, engine.settings, engine.random)
    arrival = Arrival(
        application=BUILT_IN_APPLICATION,
        origin=origin_of(request, engine.settings),
        beside=held.ids,
        device=device,
        mails=engine.settings.sends_mail,
    )
    work = partial(
        sign_in_through,
        engine.database,
        vouched,
        arrival,
        now,
        engine.random,
        again=journey.again,
    )
    try:
        started = await in_thread(work)
    except NoRoom as full:
        if not full.crowd.may_choose:
            raise
        destination = await in_thread(
            lambda: engine.database.read(
                lambda c: find_destination(c, journey.application, provider.organization)
            )
        )
        return await choose_for_sign_in(request, destination, arrival, full, journey.return_to)
    return await signed_in(request, held, started, journey.return_to, device)


async def _note(request: Request, provider: Provider, reason: str) -> None:
    """That an answer came to nothing: somebody may be trying."""
    engine, now = engine_of(request), engine_of(request).clock()
    arrival = Arrival(application=BUILT_IN_APPLICATION, origin=origin_of(request, engine.settings))
    event = failed(provider, None, reason, arrival, now, engine.random)
    await in_thread(lambda: engine.database.write(lambda c: audit.append(c, [event])))
