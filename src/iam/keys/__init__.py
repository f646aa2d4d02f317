"""Keys: those that the installation signs with, and the public ones that applications register.

Owns: the tables `signing_key` and `saml_key`; making, encrypting, rotating and publishing signing keys;
which keys of applications are good enough.
Does not own: what is signed and what is in it (`oidc`, `saml`).
Hands to: `oidc`, `saml`; `server` and `cli` make the first keys, and rotate them.
"""

from iam.keys.ring import KeyRing
from iam.keys.saml import SamlKey, add_saml_key, load_saml_keys, make_saml_key
from iam.keys.signing import SigningKey, load_keys, public_jwks, signer

__all__ = [
    "KeyRing",
    "SamlKey",
    "SigningKey",
    "add_saml_key",
    "load_keys",
    "load_saml_keys",
    "make_saml_key",
    "public_jwks",
    "signer",
]
