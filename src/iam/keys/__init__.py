"""Keys: those that the installation signs with, and the public ones that applications register.

Owns: the table `signing_key`; making, encrypting, rotating and publishing signing keys; which keys of
applications are good enough.
Does not own: what is signed and what is in it (`oidc`).
Hands to: `oidc`; `server` and `cli` make the first keys, and rotate them.
"""

from iam.keys.ring import KeyRing
from iam.keys.signing import SigningKey, load_keys, public_jwks, signer

__all__ = ["KeyRing", "SigningKey", "load_keys", "public_jwks", "signer"]
