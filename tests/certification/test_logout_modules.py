"""The modules of the OpenID Foundation's certification suite about signing out, by their names.

Plans: RP-initiated, back-channel and front-channel logout. Each function is one module: what it sends, and
what the specification has it look for.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from iam.oidc.tokens import Grant, make_id_token
from iam.server.jobs import make_deliverer
from tests.oidc.conftest import ISSUER, SIGNED_OUT, Party, query_of
from tests.support.receiver import Receiver
from tests.support.world import make_world


class Visit:
    """One person's browser, signed in at the application wiki, as the suite drives it."""

    def __init__(self, party: Party, application: str = "wiki") -> None:
        self.party, self.token = party, party.browser().token
        self.hint: str = party.tokens(self.token, application)["id_token"]
        self.claims = party.claims(self.hint)
        self.client_id = party.applications[application].client_id

    def logout(self, **fields: str | None) -> httpx2.Response:
        return self.party.logout(self.token, **fields)

    def confirm(self, page: httpx2.Response) -> httpx2.Response:
        """A screenshot is asked for, and somebody says yes."""
        assert 'id="sign-out"' in page.text
        return self.party.say_yes(self.token, page)

    def is_signed_in(self) -> bool:
        answer = self.party.authorize(self.token, prompt="none")
        sent = query_of(answer.headers["location"])
        assert ("code" in sent) != (sent.get("error") == "login_required")
        return "code" in sent


def discovery(party: Party) -> dict[str, object]:
    answer = party.world.get("/.well-known/openid-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, object] = answer.json()
    assert found["issuer"] == ISSUER
    return found


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(party: Party) -> None:
    assert discovery(party)["end_session_endpoint"] == f"{ISSUER}/oauth/logout"


def test_oidcc_rp_initiated_logout(party: Party) -> None:
    visit = Visit(party)

    answer = visit.logout(
        id_token_hint=visit.hint, post_logout_redirect_uri=SIGNED_OUT, state="0123456789"
    )

    assert answer.headers["location"] == f"{SIGNED_OUT}&state=0123456789"
    assert not visit.is_signed_in()


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(party: Party) -> None:
    visit = Visit(party)

    answer = visit.logout(
        id_token_hint=visit.hint, post_logout_redirect_uri=f"{SIGNED_OUT}/bad", state="s"
    )

    assert "location" not in answer.headers


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(party: Party) -> None:
    visit = Visit(party)

    answer = visit.logout(
        id_token_hint=visit.hint, post_logout_redirect_uri=f"{SIGNED_OUT}&foo=bar", state="s"
    )

    assert "location" not in answer.headers


def test_oidcc_rp_initiated_logout_modified_id_token_hint(party: Party) -> None:
    visit = Visit(party)
    body = visit.hint.split(".")[1]
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()

    answer = visit.logout(
        id_token_hint=f"{head}.{body}.", post_logout_redirect_uri=SIGNED_OUT, state="s"
    )

    assert "location" not in answer.headers
    assert visit.is_signed_in()


def test_oidcc_rp_initiated_logout_bad_id_token_hint(party: Party, tmp_path: object) -> None:
    """Signed by the suite, under our key's name."""
    visit, mine = Visit(party), party.world.engine.keys[0]
    with make_world(f"sqlite:///{tmp_path}/suite.db", admin_password="the suite's") as suite:
        key = suite.engine.keys[0]
    session = party.session(visit.claims["sid"])
    grant = Grant(
        client_id=visit.client_id,
        subject=party.users["ada"].id,
        session=session,
        scope=("openid",),
        nonce=None,
    )
    forged = make_id_token(
        grant, session, {}, "x", replace(key, id=mine.id), ISSUER, party.world.clock()
    )

    answer = visit.logout(id_token_hint=forged, post_logout_redirect_uri=SIGNED_OUT, state="s")

    assert "location" not in answer.headers
    assert visit.is_signed_in()


def test_oidcc_rp_initiated_logout_no_id_token_hint(party: Party) -> None:
    visit = Visit(party)

    page = visit.logout(post_logout_redirect_uri=SIGNED_OUT, state="s")

    assert "location" not in page.headers
    assert "location" not in visit.confirm(page).headers
    assert not visit.is_signed_in()


@pytest.mark.parametrize("fields", [{}, {"state": "s"}], ids=["no_params", "only_state"])
def test_oidcc_rp_initiated_logout_no_params_and_only_state(
    party: Party, fields: dict[str, str | None]
) -> None:
    visit = Visit(party)

    answer = visit.confirm(visit.logout(**fields))

    assert (answer.status_code, "location" in answer.headers) == (200, False)
    assert "You are signed out" in answer.text
    assert not visit.is_signed_in()


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(party: Party) -> None:
    visit = Visit(party)

    answer = visit.logout(id_token_hint=visit.hint, state="s")

    assert "You are signed out" in answer.text
    assert not visit.is_signed_in()


def test_oidcc_rp_initiated_logout_no_state(party: Party) -> None:
    visit = Visit(party)

    answer = visit.logout(id_token_hint=visit.hint, post_logout_redirect_uri=SIGNED_OUT)

    assert answer.headers["location"] == SIGNED_OUT
    assert not visit.is_signed_in()


def test_oidcc_backchannel_logout_discovery_endpoint_verification(party: Party) -> None:
    found = discovery(party)

    assert found["backchannel_logout_supported"] is True
    assert found["backchannel_logout_session_supported"] is True
    assert found["end_session_endpoint"]


@pytest.fixture
def calling(tmp_path: object) -> Iterator[Party]:
    """A server that may call the suite on loopback."""
    with make_world(f"sqlite:///{tmp_path}/calling.db", delivery_allow_private=True) as world:
        made = Party(world)
        made.populate()
        yield made


def test_oidcc_backchannel_rp_initiated_logout(calling: Party) -> None:
    with Receiver() as suite:
        calling.settle(
            "wiki", backchannel_logout_uri=suite.url, backchannel_logout_session_required=True
        )
        visit = Visit(calling)
        answer = visit.logout(
            id_token_hint=visit.hint, post_logout_redirect_uri=SIGNED_OUT, state="s"
        )
        deliverer = make_deliverer(calling.world.engine)
        calling.world.portal.call(deliverer.run_due)
        calling.world.portal.call(deliverer.close)
        (request,) = suite.notices

    assert set(request.form) == {"logout_token"}
    claims = calling.claims(request.form["logout_token"])
    now = calling.world.clock() // 1000
    assert (claims["iss"], claims["aud"]) == (ISSUER, visit.client_id)
    assert now - 24 * 3600 < claims["iat"] <= now + 300
    assert claims["jti"]
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert (claims["sub"], claims["sid"]) == (visit.claims["sub"], visit.claims["sid"])
    assert "nonce" not in claims
    assert query_of(answer.headers["location"])["state"] == "s"
    assert not visit.is_signed_in()


def test_oidcc_frontchannel_logout_discovery_endpoint_verification(party: Party) -> None:
    found = discovery(party)

    assert found["frontchannel_logout_supported"] is True
    assert found["frontchannel_logout_session_supported"] is True
    assert found["end_session_endpoint"]


def test_oidcc_frontchannel_rp_initiated_logout(own_party: Party) -> None:
    uri = "https://wiki.acme.test/frontchannel"
    own_party.settle("wiki", frontchannel_logout_uri=uri, frontchannel_logout_session_required=True)
    visit = Visit(own_party)

    page = visit.logout(id_token_hint=visit.hint, post_logout_redirect_uri=SIGNED_OUT, state="s")

    (source,) = re.findall(r'<iframe [^>]*src="([^"]*)"', page.text)
    frame = urlsplit(unescape(source))
    assert frame._replace(query="").geturl() == uri
    assert dict(parse_qsl(frame.query)) == {"iss": ISSUER, "sid": visit.claims["sid"]}
    assert f'href="{SIGNED_OUT}&amp;state=s" data-onward' in page.text
    assert not visit.is_signed_in()
