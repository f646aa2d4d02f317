"""The signing keys of the installation.

Owns: the table `signing_key`; making a key, loading the one that signs, publishing the public halves.
Does not own: what is signed and what is in it (`oidc`).
Hands to: `oidc`; `server` and `cli` make the first key.
"""

from iam.keys.signing import SigningKey, ensure_key, load_keys, public_jwks

__all__ = ["SigningKey", "ensure_key", "load_keys", "public_jwks"]
