"""`/choose-account`: with which of the accounts in this browser somebody goes on.

Looking changes nothing. Choosing is a form of ours, bound to the account in use: a page on another site
must not be able to have somebody work as another than they think they are (login CSRF).
"""

from starlette.requests import Request
from starlette.responses import Response

from iam.account.sign_in_page import why_here
from iam.kernel.clock import Instant
from iam.web.accounts import Account, Held, hold, shown, tidy, use
from iam.web.brand_files import brand_context
from iam.web.caller import Person
from iam.web.csrf import check_csrf
from iam.web.destination import Destination, find_destination, form_targets
from iam.web.engine import engine_of, in_thread
from iam.web.forms import FormInvalid, query_text, read_form
from iam.web.pages import page_errors, render, see_other
from iam.web.returning import ACCOUNTS, HOME, account_address, return_path, sign_in_address
from iam.web.signing_out import sign_out, sign_out_all, signed_out_page

_ALL = "all"


@page_errors
async def show_accounts(request: Request) -> Response:
    """GET: the accounts of this browser; the form to sign in where there are none."""
    engine, now = engine_of(request), engine_of(request).clock()
    held = await hold(engine, request, now)
    return_to = return_path(request.query_params.get("return_to"))
    client_id = query_text(request, "application")
    destination = await _destination(request, client_id, query_text(request, "organization"))
    if not held.living and not held.over:
        return see_other(_elsewhere(request, destination, return_to, again=False))
    return _page(request, destination, held, return_to, now)


@page_errors
async def choose_account(request: Request) -> Response:
    """POST: go on with an account, or sign one out, or all.

    The account is one of those that this browser has just shown the tokens of: an ID alone is nothing.
    """
    engine, now = engine_of(request), engine_of(request).clock()
    fields = await read_form(request)
    held = await hold(engine, request, now)
    check_csrf(request, engine.settings, held.key, fields.get("csrf"))
    return_to = return_path(fields.get("return_to"))
    wanted = fields.get("account") or fields.get("sign_out", "")
    account = held.find(wanted)
    if "sign_out" in fields:
        if wanted == _ALL:
            return await signed_out_page(request, await sign_out_all(request, held.living, now))
        if account is None:
            return _again(fields, return_to)
        left = await sign_out(request, Person(account.row).actor, now, account.row.id)
        return await signed_out_page(request, left)
    if "account" not in fields:
        raise FormInvalid("Say which account.")
    destination = await _destination(request, fields.get("application", ""))
    if account is None or not _fits(account, destination):
        return _again(fields, return_to)
    response = see_other(return_to)
    if account == held.current:
        return response
    use(response.headers, engine.settings, held, account, now)
    return response


def _again(fields: dict[str, str], return_to: str) -> Response:
    """Back to the page, which shows what there is now: time or another tab may have been faster."""
    return see_other(account_address(return_to, fields.get("application", "")))


def _fits(account: Account, destination: Destination) -> bool:
    """Whether this account may enter where this leads; the application says more."""
    home = destination.organization
    return home is None or account.row.organization == home.name


def _elsewhere(request: Request, destination: Destination, return_to: str, *, again: bool) -> str:
    """The way to sign in with an account that is not here."""
    query = {"prompt": "login"} if again else {}
    hint = query_text(request, "login_hint", 127)
    if hint:
        query["login_hint"] = hint
    if destination.client_id:
        query["application"] = destination.client_id
    elif destination.organization is not None:
        query["organization"] = destination.organization.name
    return sign_in_address(return_to, **query)


def _page(
    request: Request, destination: Destination, held: Held, return_to: str, now: Instant
) -> Response:
    engine = engine_of(request)
    home = destination.organization
    over = list(held.over)
    if held.current is not None and not held.current.lives:
        over.insert(0, held.current)
    response = render(
        request,
        "choose_account.html",
        csrf=held.csrf,
        form_targets=form_targets(destination, engine.settings),
        brand=brand_context(home.name if home else None, destination.brand),
        action=ACCOUNTS,
        application=destination.client_id,
        application_name=destination.name,
        organization_name=home.display_name if home else "",
        return_to=return_to if return_to != HOME else "",
        current=held.current.row.id if held.current is not None and held.current.lives else None,
        accounts=[shown(one) for one in held.living if _fits(one, destination)],
        strangers=[shown(one) for one in held.living if not _fits(one, destination)],
        over=[
            {
                **shown(one),
                "why": (why_here(one.verdict, now) or {}).get("reason", ""),
                "address": sign_in_address(
                    return_to,
                    prompt="login",
                    organization=one.row.organization,
                    login_hint=one.row.user,
                    **({"application": destination.client_id} if destination.client_id else {}),
                ),
            }
            for one in over
            if _fits(one, destination)
        ],
        another=_elsewhere(request, destination, return_to, again=True),
    )
    tidy(response.headers, request, engine.settings, held, now)
    return response


async def _destination(request: Request, client_id: str, organization: str = "") -> Destination:
    database = engine_of(request).database
    return await in_thread(
        lambda: database.read(lambda c: find_destination(c, client_id, organization or None))
    )
