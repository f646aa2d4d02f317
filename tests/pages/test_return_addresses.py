"""Where the sign-in page leads afterwards: back to a page of ours, never elsewhere."""

from tests.support.surfer import Surfer

TRICKS = [
    "https://evil.example/",
    "http:evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/%09/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "/account/..//evil.example",
    "/account/%2e%2e//evil.example",
    "/console/users/../../..//evil.example",
    "/console/..",
    "/console/.",
    "/console/./users",
    "/console/users/.?x=1",
    "/console/%2e%2e/",
    "/console/users/acme/%2f%2fevil.example",
    "/console//@evil.example",
    "/console/users/acme/bob:x",
    "/account//evil.example",
    "/account\\..\\evil.example",
    "/account@evil.example",
    "/account.evil.example",
    "/accounts",
    "/consoleevil",
    "javascript:alert(1)",
    "/javascript:alert(1)",
    "data:text/html,x",
    "/sign-out",
    "/sign-in",
    "/v1/session",
    "/static/../account",
    "/oauth/authorize/../../evil",
    "/oauth/token",
    "/gate/enter//evil.example",
    "/account?x=1\r\nset-cookie: iam=1",
    "/account?x=1#//evil.example",
    "/account?x=\\evil",
    "/account?x=é",
    "/account\n",
    "?return_to=//evil.example",
    "@evil.example",
    "evil.example",
    "/account/sessions?" + "a" * 9000,
]


def test_nobody_is_led_elsewhere_after_signing_in(surfer: Surfer) -> None:
    for trick in TRICKS:
        answer = surfer.sign_in("acme", "bob", return_to=trick)
        expected = (trick, 303, "/account/sessions")
        assert (trick, answer.status_code, answer.headers["location"]) == expected


def test_a_link_to_the_page_cannot_lead_elsewhere_either(bob: Surfer) -> None:
    page = bob.get("/sign-in", params={"return_to": "//evil.example"}).text
    assert "evil" not in page


PAGES = [
    "/account/sessions",
    "/console",
    "/console/sessions/ses_0123",
    "/console/sessions?organization=acme&q=%C3%A4",
    "/console/users/acme/jane.doe@example.com",
    "/console/users/acme/jane.doe%40example.com?notice=saved",
    "/console/users/acme/..jane+x",
    "/oauth/authorize?client_id=app_1&redirect_uri=https%3A%2F%2Fa.example%2Fcb&scope=openid+email",
    "/gate/enter?rd=https://docs.acme.example/a/b?c=d",
]


def test_a_page_of_ours_is_come_back_to(surfer: Surfer) -> None:
    for path in PAGES:
        assert surfer.sign_in("acme", "bob", return_to=path).headers["location"] == path
