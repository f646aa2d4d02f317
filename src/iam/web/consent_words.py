"""What the scopes of OpenID Connect mean, for those whose data it is about."""

from iam.languages import N_, gettext

_SCOPES = {
    "openid": N_("Who you are: an identifier that is always the same"),
    "profile": N_("Your name, your user name, your language and your time zone"),
    "email": N_("Your e-mail address"),
    "offline_access": N_("To stay signed in for you while you are away"),
}


def scope_words(scope: str) -> str:
    """What an application with this scope knows or may do; a scope of its own stands for itself."""
    return gettext(_SCOPES[scope]) if scope in _SCOPES else scope
