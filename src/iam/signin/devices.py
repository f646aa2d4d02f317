"""What a person calls the thing they signed in with: "Firefox on Windows"."""

from functools import cache, lru_cache

from ua_parser import Parser
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

UNKNOWN_DEVICE = "Unknown device"


@lru_cache(maxsize=1024)  # pure, and a tenth of the cost of starting a session
def device_label(user_agent: str | None) -> str:
    """A short label for a User-Agent header. It is a hint for people, never a proof of anything."""
    if not user_agent:
        return UNKNOWN_DEVICE
    parser, text = _parser(), user_agent[:512]
    found, runs_on = parser.parse_user_agent(text), parser.parse_os(text)
    browser = found.family if found is not None else None
    system = runs_on.family if runs_on is not None else None
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or user_agent.split("/", 1)[0].split(" ", 1)[0][:40] or UNKNOWN_DEVICE


@cache
def _parser() -> Parser:
    # Without the models of telephones: nobody reads them, and they are half of its memory.
    browsers, systems, _ = load_lazy_builtins()
    return Parser(Resolver((browsers, systems, [])))


def device_kind(label: str | None, user_agent: str | None) -> str:
    """The picture that goes with it: laptop, phone, tablet, terminal, server or unknown."""
    text = f"{label or ''} {user_agent or ''}".lower()
    for kind, words in (
        ("tablet", ("ipad", "tablet")),
        ("phone", ("iphone", "android", "mobile")),
        ("terminal", ("curl", "wget", "httpie", "command line")),
        ("server", ("python", "httpx", "node", "java/", "go-http", "okhttp")),
        ("laptop", ("windows", "mac os", "linux", "chrome os", "ubuntu", "x11")),
    ):
        if any(word in text for word in words):
            return kind
    return "unknown"
