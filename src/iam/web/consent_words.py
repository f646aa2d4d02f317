"""What the scopes of OpenID Connect mean, for those whose data it is about."""

_SCOPES = {
    "openid": "Who you are: an identifier that is always the same",
    "profile": "Your name and your user name",
    "email": "Your e-mail address",
    "offline_access": "To stay signed in for you while you are away",
}


def scope_words(scope: str) -> str:
    """What an application with this scope knows or may do; a scope of its own stands for itself."""
    return _SCOPES.get(scope, scope)
