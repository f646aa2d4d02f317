"""SAML 2.0: the identity provider that service providers send people to.

Owns: the table `saml_message`; messages, their signatures and bindings, what a provider is told of
somebody.
Does not own: who is signed in, the sessions that a provider is given and when they end (`signin`,
`sessions`); how providers are registered (`directory`); the key (`keys`); notices of ends (`delivery`).
Hands to: `server`, which serves its routes and sends what it signs.
"""

from starlette.routing import BaseRoute, Route

from iam.saml.metadata import metadata
from iam.saml.slo import slo
from iam.saml.sso import sso


def routes() -> list[BaseRoute]:
    """The door's routes."""
    return [
        Route("/saml/metadata", metadata),
        Route("/saml/sso", sso, methods=["GET", "POST"]),
        Route("/saml/slo", slo, methods=["GET", "POST"]),
    ]
