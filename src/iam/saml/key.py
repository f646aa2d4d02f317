"""The key that our messages are signed with, made when the first one is needed."""

from sqlalchemy import Connection

from iam.kernel.clock import Instant
from iam.keys import SamlKey, add_saml_key, load_saml_keys, make_saml_key
from iam.sessions.rules import hold_rules
from iam.web.engine import Engine


def saml_keys(engine: Engine, now: Instant) -> tuple[SamlKey, ...]:
    """All SAML keys, the one that signs first. Read from the database each time: another node may have
    made one a moment ago."""
    found = engine.database.read(lambda c: load_saml_keys(c, engine.cipher))
    if found:
        return found
    made = make_saml_key(engine.settings.issuer, now, engine.random)

    def work(connection: Connection) -> tuple[SamlKey, ...]:
        # Nodes that come together queue here; the second finds the first one's key.
        hold_rules(connection, None)
        if not load_saml_keys(connection, engine.cipher):
            add_saml_key(connection, made, now, engine.cipher, engine.random)
        return load_saml_keys(connection, engine.cipher)

    return engine.database.write(work)


def saml_key(engine: Engine, now: Instant) -> SamlKey:
    """The one that signs."""
    return saml_keys(engine, now)[0]
