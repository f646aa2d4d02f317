"""Where a person goes on to after signing in: only to pages of our own that begin a journey.

Applications' addresses are reached through `/oauth/authorize` and `/gate/enter`, which check them
against what is registered. So nobody can use the sign-in page to send people elsewhere.
"""

import re
from urllib.parse import urlencode

HOME = "/account/sessions"
ACCOUNTS = "/choose-account"

# A list of what is accepted: there is no end to the spellings of what must be refused (`//evil`,
# `/\\evil`, encoded slashes, tabs that browsers drop, dot segments). A segment is a name of ours: users'
# have dots, `@` and `+`, also as browsers encode them. The query may hold any visible ASCII but what could
# break out of a header or an attribute.
_ACCEPTED = re.compile(
    r"/(?:oauth/authorize|gate/enter|saml/sso|device|(?:account|console)"
    r"(?:/(?!\.{1,2}(?:[/?]|$))(?:[A-Za-z0-9_.@+-]|%40|%2[Bb])+)*)"
    r"(?:\?[!$-;=?-\[\]-~]*)?",
    re.ASCII,
)
_LONGEST = 8192


def return_path(text: str | None, default: str = HOME) -> str:
    """`text` if it is the path of a page of ours that one may be sent to, else `default`."""
    if text and len(text) <= _LONGEST and _ACCEPTED.fullmatch(text):
        return text
    return default


def sign_in_address(return_to: str | None, **query: str) -> str:
    """The sign-in page's address, that leads on to `return_to` where that is accepted."""
    accepted = return_path(return_to)
    if accepted != HOME:
        query["return_to"] = accepted
    return f"/sign-in?{urlencode(query)}" if query else "/sign-in"


def account_address(return_to: str, application: str = "", **query: str) -> str:
    """The address of the page where somebody says with which of their accounts they go on."""
    query["return_to"] = return_path(return_to)
    if application:
        query["application"] = application
    return f"{ACCOUNTS}?{urlencode(query)}"


def code_address(return_to: str, application: str) -> str:
    """The address of the page where somebody who is signed in shows their second factor besides."""
    return f"/second-factor?{urlencode({'application': application, 'return_to': return_to})}"


def choose_address(return_to: str, application: str) -> str:
    """The address of the page where somebody says which of their sessions ends, so that they can enter
    the application with this client ID."""
    return f"/choose-sessions?{urlencode({'application': application, 'return_to': return_to})}"
