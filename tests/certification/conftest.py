"""What the modules share: the relying party of the tests of OpenID Connect."""

from tests.oidc.conftest import own_party, party

__all__ = ["own_party", "party"]
