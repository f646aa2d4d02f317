"""The pages of a person: signing in, signing out, the own sessions.

Owns: `/`, `/sign-in`, `/choose-account`, `/second-factor`, `/unlock`, `/sign-out`, `/set-password`,
`/account/…`.
Does not own: how a password is checked (`signin`), how sessions start and end (`sessions`), what a
page looks like (`web`).
Hands to: `/oauth/authorize` and `/gate/enter`, which send people here and get them back signed in.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from iam.account.accounts_page import choose_account, show_accounts
from iam.account.activity_page import show_activity
from iam.account.again_page import show_again
from iam.account.applications_page import show_applications, withdraw
from iam.account.choose_page import choose, show_choice
from iam.account.code_page import PATH as SECOND_FACTOR
from iam.account.code_page import check_code_page, show_code_page
from iam.account.device_page import end_device, show_device
from iam.account.factor_page import PATH as FACTOR
from iam.account.factor_page import change_factor, show_factor
from iam.account.own_sessions import end_one, end_others, show_sessions
from iam.account.password_page import save_password, show_password
from iam.account.preferences_page import PATH as PREFERENCES
from iam.account.preferences_page import save_preferences, show_preferences
from iam.account.set_password_page import set_password, show_set_password
from iam.account.sign_in_page import check_sign_in, show_sign_in
from iam.account.sign_out_page import show_sign_out, sign_out, signed_out_there
from iam.account.state import show_state, stay
from iam.account.unlock_page import check_unlock, show_unlock
from iam.account.ways_page import show_ways, unlink
from iam.web.arriving import CHOOSE
from iam.web.pages import see_other
from iam.web.provider_onward import BACK
from iam.web.returning import ACCOUNTS, HOME


async def home(_request: Request) -> Response:
    """The way to the first page there is something on."""
    return see_other(HOME)


def routes() -> list[BaseRoute]:
    """The routes of this door."""
    return [
        Route("/", home),
        Route("/account", home),
        Route("/sign-in", show_sign_in),
        Route("/sign-in", check_sign_in, methods=["POST"]),
        Route("/sign-in/{organization}", show_sign_in),
        Route("/sign-in/{organization}", check_sign_in, methods=["POST"]),
        Route(SECOND_FACTOR, show_code_page),
        Route(SECOND_FACTOR, check_code_page, methods=["POST"]),
        Route(ACCOUNTS, show_accounts),
        Route(ACCOUNTS, choose_account, methods=["POST"]),
        Route(CHOOSE, show_choice),
        Route(CHOOSE, choose, methods=["POST"]),
        Route("/unlock", show_unlock),
        Route("/unlock", check_unlock, methods=["POST"]),
        Route("/sign-out", show_sign_out),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route(BACK, signed_out_there),
        Route("/sign-out/device", show_device),
        Route("/sign-out/device", end_device, methods=["POST"]),
        Route("/set-password", show_set_password),
        Route("/set-password", set_password, methods=["POST"]),
        Route("/account/sessions", show_sessions),
        Route("/account/activity", show_activity),
        Route("/account/again", show_again),
        Route("/account/applications", show_applications),
        Route("/account/applications/withdraw", withdraw, methods=["POST"]),
        Route("/account/password", show_password),
        Route("/account/password", save_password, methods=["POST"]),
        Route(FACTOR, show_factor),
        Route(FACTOR, change_factor, methods=["POST"]),
        Route(PREFERENCES, show_preferences),
        Route(PREFERENCES, save_preferences, methods=["POST"]),
        Route("/account/ways", show_ways),
        Route("/account/ways/unlink", unlink, methods=["POST"]),
        Route("/account/state", show_state),
        Route("/account/stay", stay, methods=["POST"]),
        Route("/account/sessions/end", end_one, methods=["POST"]),
        Route("/account/sessions/end-others", end_others, methods=["POST"]),
    ]


__all__ = ["routes"]
