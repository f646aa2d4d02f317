"""After a sign-out: the way on to the provider by which the session was born, to sign out there as well
(OpenID Connect RP-Initiated Logout 1.0), where its options say so."""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from sqlalchemy import Connection

from iam.directory.provider_options import OidcOptions
from iam.directory.providers import find_provider_by_id
from iam.kernel.clock import Instant
from iam.keys.cipher import EncryptionKeyWrong
from iam.signin.codes import issue_code
from iam.signin.federated_sessions import read_federated
from iam.web.engine import Engine

CODE = "provider-logout"
BACK = "/sign-out/done"
"""Where a provider leads back to; it has to know of it."""
_LIFETIME = 10 * 60


def hint_about(provider_id: str) -> str:
    """What the hint of a session that was born at a provider is encrypted about."""
    return f"federated session {provider_id}"


def provider_onward(
    connection: Connection,
    engine: Engine,
    session_ids: Sequence[str],
    now: Instant,
    onward: str | None,
    onward_name: str,
) -> tuple[str, str] | None:
    """Where to sign out of the provider that these (just ended) sessions were born at, and its name; None
    if there is none that wants it.

    Args:
        onward: where the way leads in the end, an address that was checked; `onward_name` is whose it is.
    """
    for federated in read_federated(connection, session_ids).values():
        provider = find_provider_by_id(connection, federated.provider)
        if federated.hint is None or provider is None or provider.kind != "oidc":
            continue
        options = OidcOptions.of(provider.options)
        if not options.sign_out_there:
            continue
        try:
            kept = json.loads(engine.cipher.decrypt(federated.hint, hint_about(provider.id)))
        except EncryptionKeyWrong:
            continue  # signed out here all the same
        state = issue_code(
            connection,
            CODE,
            browser_session="",
            payload={"onward": onward, "onward_name": onward_name},
            now=now,
            random=engine.random,
            lifetime=_LIFETIME,
        )
        query = {
            "id_token_hint": kept["id_token"],
            "client_id": options.client_id,
            "post_logout_redirect_uri": engine.settings.issuer + BACK,
            "state": state,
        }
        separator = "&" if "?" in kept["end_session"] else "?"
        return f"{kept['end_session']}{separator}{urlencode(query)}", provider.display_name
    return None
