"""The signing keys of the installation.

Owns: the tables `signing_key` and `saml_key`; making a key, loading the one that signs, publishing the
public halves.
Does not own: what is signed and what is in it (`oidc`, `saml`).
Hands to: `oidc` and `saml`; `server` and `cli` make the first key.
"""

from iam.keys.saml import SamlKey, add_saml_key, load_saml_keys, make_saml_key
from iam.keys.signing import SigningKey, ensure_key, load_keys, public_jwks

__all__ = [
    "SamlKey",
    "SigningKey",
    "add_saml_key",
    "ensure_key",
    "load_keys",
    "load_saml_keys",
    "make_saml_key",
    "public_jwks",
]
