"""Which of the accounts in a browser an authorization request means.

The one in use, unless the request can only mean another: by its `id_token_hint` or `login_hint`, or because
no other is of the application's organization. That one is then gone on with, and stays beside the one in
use: a link on any page can make a browser send such a request.
"""

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped] # Authlib ships no types
    InvalidRequestError,
)

from iam.directory.names import UserMissing
from iam.directory.users import User, find_user
from iam.oidc.authorize_request import CHOSEN, addressee, prompts_of
from iam.oidc.claims import asked_claims
from iam.oidc.clients import OpenidClient
from iam.oidc.protocol import ProtocolRequest, Provider
from iam.oidc.tokens import TokenInvalid, read_hint
from iam.sessions.model import LiveRow
from iam.web.accounts import Account, Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """`account` is the one to go on with, None if there is none or if the person has to say which first.

    `choose`: they have to say it. `stranger`: the request names somebody who is not signed in here.
    """

    account: Account | None = None
    choose: bool = False
    stranger: bool = False


def meant(provider: Provider, asked: ProtocolRequest, held: Held) -> Meant:
    """Which account it is. Whether the request is right otherwise is looked at afterwards.

    Raises:
        ClientUnknown, RedirectUnknown, ResponseModeUnknown: as `addressee` says.
    """
    chosen = CHOSEN in asked.parameters
    current = held.current if held.current is not None and held.current.good else None
    if "select_account" in prompts_of(asked) and not chosen and held.living:
        return Meant(choose=True)
    hinted = "login_hint" in asked.parameters and not chosen
    if not held.others and not hinted:
        return Meant(account=current)  # as nearly always: nothing else has to be read
    client, _ = addressee(provider.connection, asked)
    organization = client.application.organization
    here = [one for one in held.living if one.good]
    home = [one for one in here if one.row.organization == organization]
    subjects = _subjects(provider, asked)
    if subjects is not None:
        users = ((one, _user(provider, one)) for one in home)
        named = next((one for one, user in users if user and user.id in subjects), None)
        return Meant(account=named or current)
    hint = asked.parameters.get("login_hint", "").strip()
    if hint and not chosen:
        named = _by_name(provider, hint, home)
        return Meant(account=named or current, stranger=named is None and bool(here))
    if chosen or current in home or not home:
        return Meant(account=current)
    own = held.current
    if own is None:
        # Whoever has signed out must not find themselves in again as somebody else, unasked.
        return Meant(choose=True)
    if own is not current and own.row.organization == organization:
        # Nobody takes somebody's place because theirs is locked or over: an application that asks again and
        # again, without a page, would go on with another user and not notice. A locked one is unlocked.
        return Meant() if own.lives else Meant(choose=True)
    locked = any(one.row.organization == organization for one in held.living if not one.good)
    return Meant(choose=True) if len(home) > 1 or locked else Meant(account=home[0])


def is_meant(
    provider: Provider, asked: ProtocolRequest, client: OpenidClient, browser: LiveRow
) -> bool:
    """Core §3.1.2.1: a client that says whom it had (`id_token_hint`), or whom it wants (`sub` in `claims`,
    §5.5.1), is never given another.

    Raises:
        InvalidRequestError: the hint is none of ours, or not for this client.
    """
    hint = asked.parameters.get("id_token_hint")
    engine = provider.engine
    if hint is not None:
        try:
            said = read_hint(hint, engine.keys, engine.settings.issuer)
        except TokenInvalid as error:
            raise InvalidRequestError("id_token_hint is no ID token of ours.") from error
        if said.client_id != client.get_client_id():
            raise InvalidRequestError("id_token_hint was issued to another client.")
    subjects = _subjects(provider, asked)
    if subjects is None:
        return True
    try:
        who = find_user(provider.connection, browser.organization, browser.user)
    except UserMissing:
        return False
    return who.id in subjects


def _subjects(provider: Provider, asked: ProtocolRequest) -> frozenset[str] | None:
    """Whom the answer may be about: by `id_token_hint` and by `sub` in `claims`; None: anybody. Of what
    cannot be read nobody."""
    engine, found = provider.engine, []
    try:
        if "id_token_hint" in asked.parameters:
            text = asked.parameters["id_token_hint"]
            hint = read_hint(text, engine.keys, engine.settings.issuer)
            found.append(frozenset((hint.subject,)))
        subjects = asked_claims(asked.parameters).subjects
    except (TokenInvalid, InvalidRequestError):
        return frozenset()
    if subjects is not None:
        found.append(subjects)
    return frozenset.intersection(*found) if found else None


def _by_name(provider: Provider, hint: str, home: list[Account]) -> Account | None:
    wanted = hint.casefold()
    for one in home:
        user = _user(provider, one)
        names = (user.name, f"{user.organization}/{user.name}", user.id, user.email) if user else ()
        if wanted in (name.casefold() for name in names if name):
            return one
    return None


def _user(provider: Provider, account: Account) -> User | None:
    try:
        return find_user(provider.connection, *account.who)
    except UserMissing:
        return None
