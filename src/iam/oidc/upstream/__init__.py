"""Signing in through others: the relying party of OpenID Connect providers and OAuth 2 servers.

Owns: the way there and back, what is asked of a provider's endpoints, whether its tokens are to be
believed, and its word that somebody has signed out there.
Does not own: whom of ours it means and the session that comes of it (`signin.federation`), which providers
there are (`directory.providers`), how they are asked (`delivery.fetch`).
Hands to: `oidc`, which serves its routes.
"""

from starlette.routing import BaseRoute, Route

from iam.oidc.upstream.backchannel import told_of_logout
from iam.oidc.upstream.callback import come_back
from iam.oidc.upstream.start import begin, begin_link


def routes() -> list[BaseRoute]:
    """The routes of this side of the door."""
    return [
        Route("/sign-in/with/{provider}", begin, methods=["GET"]),
        Route("/oauth/callback/{provider}", come_back, methods=["GET"]),
        Route("/oauth/backchannel-logout/{provider}", told_of_logout, methods=["POST"]),
        Route("/account/ways/{provider}/link", begin_link, methods=["POST"]),
    ]


__all__ = ["routes"]
