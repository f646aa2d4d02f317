"""Authentication words: methods (amr, RFC 8176) and the class they add up to (acr)."""

PASSWORD = "pwd"  # noqa: S105 - the registered name of a method, RFC 8176 §2, not a password
FEDERATED = "fed"
"""Another provider vouched for them. What they showed there is not ours to repeat as if we had seen it."""

SINGLE_FACTOR = "urn:hanzo:iam:acr:1"
"""One factor was shown. A URI, as OIDC Core §2 asks of acr values that are not registered."""


def acr_of(amr: tuple[str, ...]) -> str | None:
    """The authentication class that these methods reach; none for a session no person signed in to."""
    return SINGLE_FACTOR if amr else None
