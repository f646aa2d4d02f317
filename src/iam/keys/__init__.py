"""The signing keys of the installation.

Owns: the table `signing_key`; making a key, loading the one that signs, publishing the public halves;
keys for other purposes that are derived from it.
Does not own: what is signed and what is in it (`oidc`).
Hands to: `oidc`; `delivery` (the links in mails); `server` and `cli` make the first key.
"""

from iam.keys.signing import SigningKey, derive_key, ensure_key, load_keys, public_jwks

__all__ = ["SigningKey", "derive_key", "ensure_key", "load_keys", "public_jwks"]
