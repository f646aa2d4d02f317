"""SAML 2.0, in both roles: the identity provider that service providers send people to, and the service
provider that sends people to identity providers.

Owns: the table `saml_message`; messages, their bindings, encryption, what a provider is told of somebody,
and what is believed of what one says.
Does not own: who is signed in, the sessions that a provider is given or vouches for and when they end
(`signin`, `sessions`); how providers are registered (`directory`); the keys, and how signatures are checked
(`keys`); notices of ends, and metadata that is fetched (`delivery`).
Hands to: `server`, which serves its routes and sends what it signs.
"""

from starlette.routing import BaseRoute, Route

from iam.saml.acs import acs
from iam.saml.asking import ask, ask_to_link
from iam.saml.metadata import metadata
from iam.saml.service_metadata import CONSUMER, LOGOUT, service_metadata
from iam.saml.slo import slo
from iam.saml.sso import sso
from iam.saml.upstream_slo import upstream_slo


def routes() -> list[BaseRoute]:
    """The door's routes."""
    return [
        Route("/saml/metadata", metadata),
        Route("/saml/sso", sso, methods=["GET", "POST"]),
        Route("/saml/slo", slo, methods=["GET", "POST"]),
        Route("/saml/sp/metadata", service_metadata),
        Route("/saml/sign-in/{provider}", ask),
        Route("/saml/link/{provider}", ask_to_link, methods=["POST"]),
        Route(CONSUMER, acs, methods=["GET", "POST"]),
        Route(LOGOUT, upstream_slo, methods=["GET", "POST"]),
    ]
