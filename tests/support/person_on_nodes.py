"""One person with a browser, signed in through one node, and every door that may let them in on another."""

import base64
import json
import re
import time
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import urlencode

from tests.support.node_http import Answer, Node
from tests.support.place_on_nodes import (
    CALLBACK,
    DEVICE_CODE,
    EXCHANGE,
    PASSWORD,
    Client,
    Place,
)

_VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-x"
_CHALLENGE = base64.urlsafe_b64encode(sha256(_VERIFIER.encode()).digest()).rstrip(b"=").decode()
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_NOTED_WITHIN = 15

IN = "in"
TOLD, QUIET = "told", "quiet"
NOTICE = "notice of the end"


class Browser:
    """A browser with a session of app-built-in, one behind the gate, one of an OpenID client with its access
    and refresh token, one that stays signed in; and what is under way: a code that was issued, a request that
    was pushed, one of a SAML provider, a device that was approved."""

    def __init__(self, node: Node, place: Place) -> None:
        """Sign in and enter everything, through `node`."""
        self.place = place
        body = {"organization": place.name, "username": "ana", "password": PASSWORD}
        self.token = str(node.ask("POST", "/v1/sign-in", body=body)["token"])
        self.gate = self._enter_host(node)
        self.used = self.authorize(node).led_with("code")
        self.tokens = node.ask("POST", "/oauth/token", **self._redeeming(place.wiki, self.used))
        apart = self.authorize(node, place.mail, scope="openid offline_access").led_with("code")
        self.apart = node.ask("POST", "/oauth/token", **self._redeeming(place.mail, apart))
        self._code = self.authorize(node).led_with("code")
        self._pushed = self._push(node)
        self._saml = node("GET", place.saml_request()).there
        self._device = self._approve_device(node)

    @property
    def session(self) -> str:
        """The ID of the browser session."""
        return self.token.partition(".")[0]

    @property
    def child(self) -> str:
        """The ID of the OpenID client's session."""
        payload = self.tokens["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sid"])

    @property
    def cookies(self) -> dict[str, str]:
        """What the browser sends us."""
        return {"iam": self.token}

    def doors(self, node: Node) -> dict[str, str]:
        """What each door answers to this browser's next request: `in`, or why not."""
        place, access = self.place, str(self.tokens["access_token"])
        return {
            "session API": _by_problem(node("GET", "/v1/session", token=self.token)),
            "page": _by_status(node("GET", "/account/sessions", cookies=self.cookies)),
            "application's session API": _by_problem(node("GET", "/v1/session", token=self.gate)),
            "gate": _by_problem(
                node(
                    "GET",
                    "/gate/check",
                    cookies={"iam-app": self.gate},
                    x_forwarded_host=place.host,
                )
            ),
            "validation": self._validated(node),
            "userinfo": _by_status(node("GET", "/oauth/userinfo", token=access)),
            "introspection": self._introspected(node, access),
            "token exchange": self._exchanged(node, access),
            "refresh": _by_status(self.refresh(node, place.wiki, self.tokens)),
            "refresh of who stays signed in": _by_status(
                self.refresh(node, place.mail, self.apart)
            ),
            "entering through the gate": self._entered(node),
            "authorization": _by_code(self.authorize(node)),
            # What was under way can be asked about once only, and may start something.
            "pushed request": _by_code(node("GET", self._pushed, cookies=self.cookies)),
            "SAML sign-on": self._answered(node),
            "code redemption": _by_status(
                node("POST", "/oauth/token", **self._redeeming(place.wiki, self._code))
            ),
            "device": _by_status(self._poll(node)),
        }

    def told(self, node: Node, admin: str, *, wait: bool) -> str:
        """Whether the OpenID client is to be told that its session has ended. `wait`: it may take the sweep
        to note it."""
        path = f"/v1/sessions/{self.child}/deliveries"
        until = time.monotonic() + (_NOTED_WITHIN if wait else 0)
        while True:
            if node.ask("GET", path, token=admin)["items"]:
                return TOLD
            if time.monotonic() >= until:
                return QUIET
            time.sleep(0.2)

    def authorize(self, node: Node, client: Client | None = None, **changes: str) -> Answer:
        """An authorization request without a page."""
        query = {**self._request(client or self.place.wiki), "prompt": "none", **changes}
        return node("GET", f"/oauth/authorize?{urlencode(query)}", cookies=self.cookies)

    def redeem(self, node: Node, code: str) -> Answer:
        """A code for tokens."""
        return node("POST", "/oauth/token", **self._redeeming(self.place.wiki, code))

    def refresh(self, node: Node, client: Client, tokens: dict[str, Any]) -> Answer:
        """A refresh token for others."""
        form = {"grant_type": "refresh_token", "refresh_token": str(tokens["refresh_token"])}
        return node("POST", "/oauth/token", form=form, authorization=client.basic)

    def post(self, node: Node, path: str, page: Answer, **fields: str) -> Answer:
        """Send the form of a page of ours."""
        cookies = {**self.cookies, **page.cookies}
        return node("POST", path, cookies=cookies, form={"csrf": hidden(page, "csrf"), **fields})

    def sign_in_again(self, node: Node) -> None:
        """Through the page, in the same browser."""
        path = f"/sign-in/{self.place.name}"
        page = node("GET", f"{path}?prompt=login", cookies=self.cookies)
        answer = self.post(node, path, page, username="ana", password=PASSWORD)
        assert answer.status == 303, answer.text

    @staticmethod
    def _request(client: Client) -> dict[str, str]:
        return {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
        }

    @staticmethod
    def _redeeming(client: Client, code: str) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        form |= {"code_verifier": _VERIFIER}
        return {"form": form, "authorization": client.basic}

    def _push(self, node: Node) -> str:
        wiki = self.place.wiki
        pushed = node.ask("POST", "/oauth/par", form=self._request(wiki), authorization=wiki.basic)
        query = {"client_id": wiki.id, "request_uri": pushed["request_uri"]}
        return f"/oauth/authorize?{urlencode(query)}"

    def _approve_device(self, node: Node) -> str:
        mail = self.place.mail
        begun = node.ask(
            "POST", "/oauth/device", form={"scope": "openid"}, authorization=mail.basic
        )
        page = node("GET", "/device", cookies=self.cookies)
        fields = {"user_code": begun["user_code"], "decision": "approve"}
        answer = self.post(node, "/device/decide", page, **fields)
        assert "Your device is connected" in answer.text
        return str(begun["device_code"])

    def _poll(self, node: Node) -> Answer:
        form = {"grant_type": DEVICE_CODE, "device_code": self._device}
        return node("POST", "/oauth/token", form=form, authorization=self.place.mail.basic)

    def _enter_host(self, node: Node) -> str:
        host = self.place.host
        start = node("GET", "/.iam/callback?rd=/", host=host)
        flow = {"iam-app-flow": start.cookies["iam-app-flow"]}
        issued = node("GET", start.there, cookies=self.cookies)
        back = node("GET", issued.there, cookies=flow, host=host)
        return back.cookies["iam-app"]

    def _entered(self, node: Node) -> str:
        query = {"rd": f"http://{self.place.host}/", "state": "s" * 43}
        return _by_code(node("GET", f"/gate/enter?{urlencode(query)}", cookies=self.cookies))

    def _validated(self, node: Node) -> str:
        answer = node(
            "POST",
            "/v1/sessions/validate",
            body={"tokens": [self.gate]},
            authorization=self.place.wiki.basic,
        )
        if answer.status != 200:
            return "out"
        (judged,) = answer.body
        return IN if "state" in judged else _why(judged)

    def _introspected(self, node: Node, access: str) -> str:
        answer = node(
            "POST",
            "/oauth/introspect",
            form={"token": access},
            authorization=self.place.wiki.basic,
        )
        return IN if answer.status == 200 and answer.body["active"] else "out"

    def _exchanged(self, node: Node, access: str) -> str:
        form = {
            "grant_type": EXCHANGE,
            "subject_token": access,
            "subject_token_type": _ACCESS_TOKEN,
        }
        basic = self.place.wiki.basic
        return _by_status(node("POST", "/oauth/token", form=form, authorization=basic))

    def _answered(self, node: Node) -> str:
        page = node("GET", self._saml, cookies=self.cookies)
        if page.status != 200:
            return "out"
        answer = base64.b64decode(hidden(page, "SAMLResponse")).decode()
        return IN if "status:Success" in answer else "out"


def hidden(page: Answer, name: str) -> str:
    """The value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return unescape(found[1])


def _by_status(answer: Answer) -> str:
    return IN if answer.status == 200 else "out"


def _by_code(answer: Answer) -> str:
    return IN if answer.led_with("code") else "out"


def _by_problem(answer: Answer) -> str:
    return IN if answer.status == 200 else _why(answer.body)


def _why(problem: dict[str, Any]) -> str:
    return str(problem.get("end_reason") or problem["code"])
