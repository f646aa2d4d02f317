"""A person's browser without the browser: cookies, forms, and pages as text."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import httpx2

from tests.support.world import ISSUER, PASSWORD, World

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
)


class Surfer:
    """Keeps cookies between requests, as one browser does; follows no redirect by itself."""

    def __init__(self, world: World, user_agent: str = FIREFOX) -> None:
        self._world = world
        self.cookies: dict[str, str] = {}
        self.headers = {"user-agent": user_agent}
        self.page = ""

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx2.Response:
        """Send a form exactly as given."""
        return self.send(
            "POST",
            path,
            content=urlencode(fields),
            headers={"content-type": "application/x-www-form-urlencoded", **headers},
        )

    def submit(self, path: str, **fields: str) -> httpx2.Response:
        """Send a form of the page that was last looked at: with its hidden `csrf`."""
        return self.post(path, {"csrf": self.csrf, **fields})

    def sign_in(
        self, organization: str, user: str, password: str = PASSWORD, **fields: str
    ) -> httpx2.Response:
        """Through the form, with the organization in the page's address."""
        self.get(f"/sign-in/{organization}?prompt=login")
        return self.submit(f"/sign-in/{organization}", username=user, password=password, **fields)

    def visit(self, host: str) -> httpx2.Response:
        """Go to a host behind the gate, as far as it leads: to the page there, or to one of ours.

        One jar for both hosts, where the names of cookies do not meet.
        """
        there = f"http://{host}"
        answer = self.get("/.iam/callback?rd=/", base_url=there)
        while (address := answer.headers.get("location", there + "/")) != there + "/":
            if address.startswith(there):
                answer = self.get(address.removeprefix(there), base_url=there)
            else:
                answer = self.get(address.removeprefix(ISSUER))
        return answer

    @property
    def csrf(self) -> str:
        """The hidden field of the page last looked at."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.page)
        return unescape(found[1]) if found else ""

    @property
    def session_id(self) -> str:
        """The ID of the browser session it holds."""
        return self.cookies["iam"].partition(".")[0]

    def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self._world.request(method, path, headers=headers, **options)
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        if answer.headers.get("content-type", "").startswith("text/html"):
            self.page = answer.text
        return answer
