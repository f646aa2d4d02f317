"""The keys that our messages are signed with and that others encrypt for, made when the first one is
needed."""

from sqlalchemy import Connection

from iam.kernel.clock import Instant
from iam.keys import SamlKey, add_saml_key, load_saml_keys, make_saml_key
from iam.keys.saml import Use
from iam.sessions.rules import hold_rules
from iam.web.engine import Engine


def saml_keys(engine: Engine, now: Instant, use: Use = "signing") -> tuple[SamlKey, ...]:
    """The SAML keys for one use, the one that is in use now first. Read from the database each time:
    another node may have made one a moment ago."""
    found = engine.database.read(lambda c: load_saml_keys(c, engine.cipher, now, use))
    if found:
        return found
    made = make_saml_key(engine.settings.issuer, now, engine.random, use=use)

    def work(connection: Connection) -> tuple[SamlKey, ...]:
        # Nodes that come together queue here; the second finds the first one's key.
        hold_rules(connection, None)
        if not load_saml_keys(connection, engine.cipher, now, use):
            add_saml_key(connection, made, engine.cipher, engine.random)
        return load_saml_keys(connection, engine.cipher, now, use)

    return engine.database.write(work)


def saml_key(engine: Engine, now: Instant) -> SamlKey:
    """The one that signs."""
    return saml_keys(engine, now)[0]


def decryption_keys(engine: Engine, now: Instant) -> tuple[str, ...]:
    """The private keys (PEM) that somebody may have encrypted for, the newest first."""
    return tuple(one.private_key for one in saml_keys(engine, now, "encryption"))
