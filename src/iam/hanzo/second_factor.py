"""`login` of somebody who has a second factor: `NextMfa` after the password, then `passcode` or
`recoveryCode` from the same browser.

Between the two the proof of the password lies with us, behind a ticket in a cookie that is good once.
"""

from functools import partial
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from iam.hanzo.browser import accounts_beside
from iam.hanzo.call import Call
from iam.hanzo.envelope import Reply, failed, message_of, respond
from iam.hanzo.errors import Told
from iam.kernel.clock import Instant, after
from iam.kernel.errors import Throttled
from iam.sessions.lifecycle import Started
from iam.sessions.model import BUILT_IN_APPLICATION
from iam.signin.arrival import Arrival, NoRoom, Proven
from iam.signin.codes import issue_code, redeem_code
from iam.signin.factors import CodeWrong
from iam.signin.password_sign_in import CredentialsInvalid, go_on
from iam.signin.second_step import Claim, show_code
from iam.web.cookies import clear_cookie, read_cookie, set_cookie
from iam.web.engine import in_thread

TICKET = "iam-factor"
"""The cookie: it stands for a password that was right, for as long as its person takes to find a code."""
_KIND = "casdoor-factor"
_LIFETIME = 10 * 60
_MEMBERS = ("mfaType", "passcode", "recoveryCode")
_NEXT = [{"enabled": True, "isPreferred": True, "mfaType": "app", "mfaRememberInHours": 0}]


def shows_code(call: Call) -> bool:
    """Whether this is the second of the two requests."""
    return any(call.text(name) for name in _MEMBERS)


async def ask_for_code(call: Call, proven: Proven, arrival: Arrival) -> Response:
    """`NextMfa`, for somebody whose password was right."""
    waiting = {
        "proven": proven.to_payload(),
        "replaces": arrival.replaces,
        "remember": arrival.remember,
        "until": after(call.now, _LIFETIME),
    }
    response = respond(Reply(data="NextMfa", data2=_NEXT))
    await _wait(call, waiting, response)
    return response


async def _wait(call: Call, waiting: dict[str, Any], response: Response) -> None:
    """Have the browser come back with a ticket; of many tries none lasts beyond the first one's time."""
    seconds = max(1, (Instant(waiting["until"]) - call.now) // 1000)

    def work(connection: Connection) -> str:
        return issue_code(
            connection,
            _KIND,
            browser_session="",
            payload=waiting,
            now=call.now,
            random=call.engine.random,
            lifetime=seconds,
        )

    ticket = await in_thread(lambda: call.engine.database.write(work))
    set_cookie(response.headers, call.engine.settings, TICKET, ticket, seconds)


async def sign_in_with_code(call: Call, device: str) -> Started | Response:
    """The session of somebody who shows a code after their password; a response if the code is not right.

    Raises:
        Told: no password was shown before, or no code now.
        CredentialsInvalid, NoRoom: as `go_on` says.
    """
    engine, now = call.engine, call.now
    if call.text("mfaType") not in ("", "app"):
        raise Told("factor_kind")
    code = call.text("passcode") or call.text("recoveryCode")
    if not code:
        raise Told("code_missing")
    ticket = read_cookie(call.request, engine.settings, TICKET) or ""
    found = await in_thread(
        lambda: engine.database.write(lambda c: redeem_code(c, _KIND, ticket, now))
    )
    if found is None or found.replayed:
        raise Told("step_over")
    waiting: Any = dict(found.payload)
    proven = Proven.from_payload(waiting["proven"])
    arrival = Arrival(
        application=BUILT_IN_APPLICATION,
        origin=call.origin,
        replaces=waiting["replaces"],
        beside=await accounts_beside(engine, call.request, now),
        remember=waiting["remember"],
        device=device,
        mails=engine.settings.sends_mail,
    )
    claim = Claim(
        organization=proven.organization,
        username=proven.username,
        code=code,
        application=BUILT_IN_APPLICATION,
        origin=call.origin,
    )
    counts = engine.metrics.sign_ins
    show = partial(show_code, engine.database, engine.cipher, proven, claim, now, engine.random)
    try:
        both = await in_thread(show)
        started = await in_thread(lambda: go_on(engine.database, both, arrival, now, engine.random))
    except (CodeWrong, Throttled) as error:
        counts["throttled" if isinstance(error, Throttled) else "failed"] += 1
        response = failed(message_of(error, call.language))
        await _wait(call, waiting, response)
        return response
    except (CredentialsInvalid, NoRoom):
        counts["failed"] += 1
        raise
    counts["succeeded"] += 1
    return engine.count_started(started)


def forget_ticket(call: Call, response: Response) -> None:
    """It has served its purpose."""
    clear_cookie(response.headers, call.engine.settings, TICKET)
