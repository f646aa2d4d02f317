"""How each event of the table is brought about, by whoever does that in life."""

import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pyotp

from tests.support.node_http import Node
from tests.support.person_on_nodes import Browser, hidden
from tests.support.place_on_nodes import AFTER_LOGOUT, PASSWORD, Place

FACTOR = "/account/second-factor"


@dataclass
class Case:
    """Where an event happens: the node, who is meant, and by whose hand."""

    node: Node
    admin: str
    place: Place
    own: Browser
    other: Browser

    def as_admin(self, method: str, path: str, body: object = None) -> Any:
        return self.node.ask(method, path, token=self.admin, body=body)

    def as_person(self, method: str, path: str, body: object = None) -> Any:
        return self.node.ask(method, path, token=self.own.token, body=body)

    @property
    def user(self) -> str:
        return f"/v1/users/{self.place.name}/ana"

    @property
    def organization(self) -> str:
        return f"/v1/organizations/{self.place.name}"

    @property
    def application(self) -> str:
        return f"/v1/applications/{self.place.name}/wiki"

    @property
    def session(self) -> str:
        return f"/v1/sessions/{self.own.session}"

    def gate_session(self) -> str:
        return f"/v1/sessions/{self.own.gate.partition('.')[0]}"

    def set_policy(self, **knobs: object) -> None:
        self.as_admin("PATCH", self.organization, {"policy": knobs})


def nothing(_: Case) -> None:
    """The control: without an event every door lets both in."""


def sign_out(case: Case) -> None:
    case.as_person("DELETE", "/v1/session")


def sign_out_everywhere(case: Case) -> None:
    case.as_person("POST", "/v1/me/sessions/end-others")
    case.as_person("DELETE", "/v1/session")


def sign_out_at_an_application(case: Case) -> None:
    """RP-Initiated Logout: the application sends its user here with the ID token it has."""
    query = {"id_token_hint": case.own.tokens["id_token"], "post_logout_redirect_uri": AFTER_LOGOUT}
    path = f"/oauth/logout?{urlencode(query)}"
    answer = case.node("GET", path, cookies=case.own.cookies)
    assert answer.status in (200, 303), answer.text


def end_others(case: Case) -> None:
    case.node.ask("POST", "/v1/me/sessions/end-others", token=case.other.token)


def end_one_of_ones_own(case: Case) -> None:
    case.node.ask("DELETE", f"/v1/me/sessions/{case.own.session}", token=case.other.token)


def sign_out_behind_the_gate(case: Case) -> None:
    cookies = {"iam-app": case.own.gate}
    answer = case.node("POST", "/.iam/sign-out", cookies=cookies, form={}, host=case.place.host)
    assert answer.status == 303, answer.text


def idle(case: Case) -> None:
    case.set_policy(idle_timeout=3)
    time.sleep(3.1)


def expire(case: Case) -> None:
    case.set_policy(maximum_lifetime=3)
    time.sleep(3.1)


def tighten(case: Case) -> None:
    time.sleep(1.1)
    case.set_policy(maximum_lifetime=1)


def make_room(case: Case) -> None:
    """One more signs in where there is room for as many places as are taken."""
    case.set_policy(maximum_user_sessions=4, at_limit="end_oldest")
    body = {"organization": case.place.name, "username": "ana", "password": PASSWORD}
    case.node.ask("POST", "/v1/sign-in", body=body)


def allow_one_session_only(case: Case) -> None:
    case.set_policy(exclusive=True)


def sign_in_again(case: Case) -> None:
    case.own.sign_in_again(case.node)


def change_password(case: Case) -> None:
    body = {"current_password": PASSWORD, "new_password": "another one 1"}
    case.as_person("POST", "/v1/me/password", body)


def reset_password(case: Case) -> None:
    case.as_admin("PATCH", case.user, {"password": "another one 1"})


def _add_factor(case: Case, browser: Browser, **fields: str) -> tuple[str, list[str]]:
    """The token that it goes on with, and the recovery codes."""
    node = case.node
    page = node("GET", FACTOR, cookies=browser.cookies)
    begun = browser.post(node, FACTOR, page, do="begin", password=PASSWORD)
    key = re.search(r'<p class="key">.*?<code>([A-Z2-7 ]+)</code>', begun.text, re.DOTALL)
    assert key is not None, begun.text
    code = pyotp.TOTP(key[1].replace(" ", "")).now()
    carried = {"do": "confirm", "sealed": hidden(begun, "sealed"), "code": code}
    done = browser.post(node, FACTOR, begun, **carried, **fields)
    return done.cookies["iam"], re.findall(r"<li><code>([0-9a-z-]+)</code>", done.text)


def add_a_second_factor(case: Case) -> None:
    _add_factor(case, case.own)


def add_a_second_factor_and_end_the_others(case: Case) -> None:
    _add_factor(case, case.own, end_others="1")


def remove_ones_second_factor(case: Case) -> None:
    token, codes = _add_factor(case, case.own)
    cookies = {"iam": token}
    page = case.node("GET", FACTOR, cookies=cookies)
    form = {"do": "remove", "password": PASSWORD, "code": codes[0], "csrf": hidden(page, "csrf")}
    removed = case.node("POST", FACTOR, cookies=cookies, form=form)
    assert removed.status == 303, removed.text


def admin_removes_second_factor(case: Case) -> None:
    case.own.token, _ = _add_factor(case, case.own)
    case.as_admin("DELETE", f"{case.user}/second-factor")


def admin_ends_session(case: Case) -> None:
    case.as_admin("DELETE", case.session)


def admin_ends_child(case: Case) -> None:
    case.as_admin("DELETE", case.gate_session())


def admin_ends_user(case: Case) -> None:
    wanted = {"organization": case.place.name, "user": "ana"}
    case.as_admin("POST", "/v1/sessions/end", {"filter": wanted})


def admin_ends_record(case: Case) -> None:
    case.as_admin("DELETE", f"/v1/session-records/{case.place.name}/ana/wiki")


def everything_before_now(case: Case) -> None:
    case.as_admin("POST", "/v1/sessions/not-before", {"organization": case.place.name})


def disable_user(case: Case) -> None:
    case.as_admin("PATCH", case.user, {"enabled": False})


def delete_user(case: Case) -> None:
    case.as_admin("DELETE", case.user)


def disable_application(case: Case) -> None:
    case.as_admin("PATCH", case.application, {"enabled": False})


def delete_application(case: Case) -> None:
    case.as_admin("DELETE", case.application)


def disable_organization(case: Case) -> None:
    case.as_admin("PATCH", case.organization, {"enabled": False})


def delete_organization(case: Case) -> None:
    case.as_admin("DELETE", case.organization)


def use_a_code_twice(case: Case) -> None:
    assert case.own.redeem(case.node, case.own.used).status == 400


def use_a_refresh_token_twice(case: Case) -> None:
    wiki, first = case.place.wiki, case.own.tokens
    second = case.own.refresh(case.node, wiki, first)
    assert case.own.refresh(case.node, wiki, second.body).status == 200
    assert case.own.refresh(case.node, wiki, first).status == 400


def withdraw_consent(case: Case) -> None:
    case.as_admin("PATCH", case.application, {"consent": "required"})
    asked = case.own.authorize(case.node, prompt="consent")
    fields = {
        name: hidden(asked, name)
        for name in re.findall(r'type="hidden" name="([^"]*)"', asked.text)
    }
    allowed = case.node(
        "POST", "/oauth/consent", cookies=case.own.cookies, form={**fields, "decision": "allow"}
    )
    assert allowed.status == 303, allowed.text
    case.as_person("DELETE", "/v1/me/consents/wiki")


def lock(case: Case) -> None:
    case.as_admin("POST", f"{case.session}/lock")


def lock_child(case: Case) -> None:
    case.as_admin("POST", f"{case.gate_session()}/lock")


def lock_and_unlock(case: Case) -> None:
    lock(case)
    case.as_person("POST", "/v1/session/unlock", {"password": PASSWORD})
