"""What a person calls the thing they signed in with: "Firefox on Windows"."""

from functools import lru_cache

from ua_parser import parse

UNKNOWN_DEVICE = "Unknown device"


@lru_cache(maxsize=1024)  # pure, and a tenth of the cost of starting a session
def device_label(user_agent: str | None) -> str:
    """A short label for a User-Agent header. It is a hint for people, never a proof of anything."""
    if not user_agent:
        return UNKNOWN_DEVICE
    found = parse(user_agent[:512])
    browser = found.user_agent.family if found.user_agent is not None else None
    system = found.os.family if found.os is not None else None
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or user_agent.split("/", 1)[0].split(" ", 1)[0][:40] or UNKNOWN_DEVICE


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
