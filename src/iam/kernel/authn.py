"""Authentication words: methods (amr, RFC 8176) and the class they add up to (acr)."""

PASSWORD = "pwd"  # noqa: S105 - the registered name of a method, RFC 8176 §2, not a password
ONE_TIME_CODE = "otp"
SEVERAL = "mfa"
"""More than one kind of proof was shown, RFC 8176 §2."""
FEDERATED = "fed"
"""Another provider vouched for them. What they showed there is not ours to repeat as if we had seen it."""

SINGLE_FACTOR = "urn:hanzo:iam:acr:1"
"""One factor was shown. A URI, as OIDC Core §2 asks of acr values that are not registered."""
MULTI_FACTOR = "urn:hanzo:iam:acr:2"
"""Two factors were shown: what somebody knows, and what they have."""
CLASSES = (SINGLE_FACTOR, MULTI_FACTOR)
"""All there are, the weakest first: whoever has reached one has reached those before it."""


def acr_of(amr: tuple[str, ...]) -> str | None:
    """The authentication class that these methods reach; none for a session no person signed in to."""
    if not amr:
        return None
    return MULTI_FACTOR if SEVERAL in amr else SINGLE_FACTOR


def with_code(amr: tuple[str, ...]) -> tuple[str, ...]:
    """These methods, and a one-time code besides."""
    return tuple(dict.fromkeys((*amr, ONE_TIME_CODE, SEVERAL)))


def reaches(acr: str | None, wanted: str) -> bool:
    """Whether who has authenticated in this class may say so of another as well."""
    if acr not in CLASSES or wanted not in CLASSES:
        return acr == wanted
    return CLASSES.index(acr) >= CLASSES.index(wanted)
