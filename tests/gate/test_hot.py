"""What the gate tells a proxy."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from sqlalchemy.exc import OperationalError

from iam.directory.applications import ApplicationChange, update_application
from iam.kernel.events import SYSTEM
from iam.sessions.reader import SqliteReader

IDENTITY = [
    "remote-user",
    "remote-email",
    "remote-name",
    "remote-groups",
    "x-iam-session",
    "x-iam-organization",
    "x-iam-application",
]


def test_a_good_session_is_let_in_with_its_identity(both_places: Any) -> None:
    started = both_places.started()
    answer = both_places.ask(started.token)
    assert answer.status_code == 200
    assert answer.content == b""
    assert {name: answer.headers[name] for name in IDENTITY} == {
        "remote-user": "ada",
        "remote-email": "ada@acme.test",
        "remote-name": "Ada Lovelace",
        "remote-groups": "editor,reader",
        "x-iam-session": started.session.id,
        "x-iam-organization": "acme",
        "x-iam-application": "wiki",
    }
    assert answer.headers["cache-control"] == "no-store"


def test_an_ended_session_is_refused_by_the_next_request(both_places: Any) -> None:
    token = both_places.start()
    assert both_places.ask(token).status_code == 200
    both_places.end(token)
    answer = both_places.ask(token)
    assert answer.status_code == 401
    assert answer.json()["code"] == "session_ended"
    assert answer.json()["end_reason"] == "ended_by_admin"


def test_headers_are_there_though_empty_when_a_user_has_no_email_or_roles(place: Any) -> None:
    answer = place.ask(place.start(email=None, roles=()))
    assert answer.headers["remote-email"] == ""
    assert answer.headers["remote-groups"] == ""


@pytest.mark.parametrize("name", ["Ada\r\nX-Admin: yes", "Zoë 100%", "山田 太郎", "a\x00b\x7f"])
def test_what_is_not_printable_ascii_is_percent_encoded(place: Any, name: str) -> None:
    answer = place.ask(place.start(display_name=name))
    raw = answer.headers["remote-name"]
    assert raw.isascii()
    assert raw.isprintable()
    assert unquote(raw) == name
    assert "x-admin" not in answer.headers


def test_the_answer_as_json_is_the_session(place: Any) -> None:
    started = place.started()
    answer = place.ask(started.token, path="/gate/check")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["id"] == started.session.id
    assert body["user"] == "ada"
    assert body["roles"] == ["editor", "reader"]
    assert body["state"] == "active"
    assert body["idle_expires_at"].endswith("Z")
    assert "secret" not in answer.text


def test_a_bearer_token_is_as_good_as_a_cookie_and_decides_alone(place: Any) -> None:
    token = place.start()
    assert place.ask(authorization=f"Bearer {token}").status_code == 200
    assert place.ask(authorization=f"bearer   {token} ").status_code == 200
    assert place.ask(token, authorization="Bearer nonsense").status_code == 401
    assert place.ask(token, authorization="Bearer").status_code == 401


def test_another_scheme_of_authorization_is_left_to_the_application(place: Any) -> None:
    assert place.ask(place.start(), authorization="Basic YTpi").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        ".",
        "ses_",
        "a" * 100_000,
        "ses_" + "0" * 26 + "." + "A" * 43,
        "ses_" + "0" * 26 + "." + "A" * 44,
        "ses_" + "u" * 26 + "." + "A" * 43,
        "ses_%00",
        "' OR 1=1 --",
        '"quoted"',
        "é" * 20,
    ],
)
def test_whatever_is_no_token_is_an_unknown_session(place: Any, text: str) -> None:
    value = f"iam-app={text}".encode()
    answer = place.world.get(
        "/gate/nginx", headers=[(b"cookie", value), (b"x-forwarded-host", b"wiki.test")]
    )
    assert answer.status_code == 401
    assert answer.json()["code"] == "session_unknown"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_secret_and_an_unknown_session_look_the_same(place: Any) -> None:
    token = place.start()
    session_id, secret = token.split(".")
    wrong = place.ask(f"{session_id}.{secret[::-1]}")
    unknown = place.ask(f"ses_{'0' * 26}.{secret}")
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert place.ask(f"{session_id}.{secret}x").status_code == 401


def test_a_cookie_that_comes_twice_is_worth_nothing(place: Any) -> None:
    token, other = place.start(), place.start()
    answer = place.ask(cookie=f"iam-app={token}; iam-app={other}")
    assert answer.status_code == 401
    host = (b"x-forwarded-host", b"wiki.test")
    twice = [(b"cookie", f"iam-app={one}".encode()) for one in (token, token)]
    assert place.world.get("/gate/nginx", headers=[host, *twice]).status_code == 401


def test_a_cookie_of_another_name_is_not_read(place: Any) -> None:
    token = place.start()
    for name in ("iam", "xiam-app", "iam-app2", "__Host-iam-app", "IAM-APP"):
        assert place.ask(cookie=f"{name}={token}").status_code == 401


def test_without_a_host_nobody_is_let_in(place: Any) -> None:
    answer = place.ask(place.start(), x_forwarded_host="")
    assert answer.status_code == 403
    assert answer.json()["code"] == "host_required"


@pytest.mark.parametrize("host", ["a b", "wiki.test,shop.test", "-", "[", "x" * 300, "wiki.test:x"])
def test_what_is_no_host_is_refused(place: Any, host: str) -> None:
    assert place.ask(place.start(), x_forwarded_host=host).status_code == 403


def test_a_host_of_no_application_is_refused(place: Any) -> None:
    answer = place.ask(place.start(), x_forwarded_host="elsewhere.test")
    assert answer.status_code == 403
    assert answer.json()["code"] == "gate_host_unknown"


def test_hosts_are_compared_as_browsers_do(place: Any) -> None:
    token = place.start()
    assert place.ask(token, x_forwarded_host="WIKI.test").status_code == 200
    assert place.ask(token, x_forwarded_host="wiki.test:80").status_code == 200
    assert place.ask(token, x_forwarded_host="wiki.test:8080").status_code == 403
    shop = place.start("shop")
    assert place.ask(shop, x_forwarded_host="shop.test:8443").status_code == 200
    assert place.ask(shop, x_forwarded_host="shop.test").status_code == 403


def test_the_host_may_be_told_by_the_original_url(place: Any) -> None:
    token = place.start()
    url = "http://wiki.test/some/page?b=2"
    assert place.ask(token, x_forwarded_host="", x_original_url=url).status_code == 200
    answer = place.ask(x_forwarded_host="", x_original_url=url)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["rd"] == [url]
    for bad in ("wiki.test", "ftp://wiki.test/", "http://", "http://[/"):
        assert place.ask(token, x_forwarded_host="", x_original_url=bad).status_code == 403


@pytest.mark.parametrize("instance", [None, "wiki.test"])
def test_a_session_of_another_application_or_tenant_is_refused(
    place: Any, instance: str | None
) -> None:
    """Whatever it calls itself: `instance` is a label that a back end gives as it likes."""
    for application, organization in (
        ("shop", "acme"),
        ("wiki", "globex"),
        ("app-built-in", "acme"),
    ):
        token = place.start(application, organization, instance=instance)
        answer = place.ask(token)
        assert answer.status_code == 403
        assert answer.json()["code"] == "wrong_application"
        assert "remote-user" not in answer.headers


def test_who_is_refused_learns_where_to_sign_in(place: Any) -> None:
    answer = place.ask()
    assert answer.status_code == 401
    assert answer.headers["location"] == answer.headers["x-iam-sign-in"]
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    url = urlsplit(answer.headers["location"])
    assert (
        f"{url.scheme}://{url.netloc}{url.path}"
        == f"{place.world.engine.settings.issuer}/gate/enter"
    )
    assert parse_qs(url.query) == {"rd": ["http://wiki.test/page?a=1"]}


def test_the_way_back_never_breaks_the_answer(place: Any) -> None:
    for uri in ("/" + "x" * 9000, "//evil.test/", "/\\evil", "no-slash", "/a b"):
        answer = place.ask(x_forwarded_uri=uri)
        assert answer.status_code == 401
        assert len(answer.headers["location"]) < 8000
        [target] = parse_qs(urlsplit(answer.headers["location"]).query)["rd"]
        assert urlsplit(target).netloc == "wiki.test"


def test_idle_and_maximum_lifetime_are_judged_at_their_edges(place: Any) -> None:
    token = place.start()
    place.world.clock.move(30 * 60 - 0.001)
    assert place.ask(token).status_code == 200
    place.world.write_touches()
    other = place.start()
    place.world.clock.move(30 * 60)
    answer = place.ask(other)
    assert (answer.status_code, answer.json()["end_reason"]) == (401, "idle")


def test_being_asked_about_keeps_a_session_alive(place: Any) -> None:
    token = place.start()
    for _ in range(5):
        place.world.clock.move(20 * 60)
        assert place.ask(token).status_code == 200
        place.world.clock.move(2)
        place.world.write_touches()


def test_a_refused_request_is_no_activity(place: Any) -> None:
    token = place.start("shop")
    place.world.clock.move(20 * 60)
    assert place.ask(token).status_code == 403
    place.world.clock.move(10)
    place.world.write_touches()
    place.world.clock.move(10 * 60)
    assert place.ask(token).json()["code"] == "session_ended"


def test_only_get_and_head_are_answered(place: Any) -> None:
    headers = {"cookie": f"iam-app={place.start()}", "x-forwarded-host": "wiki.test"}
    head = place.world.request("HEAD", "/gate/nginx", headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = place.world.request(method, "/gate/nginx", headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_validations_are_counted_by_outcome(place: Any) -> None:
    token = place.start()
    place.ask(token)
    place.ask("nonsense")
    place.end(token)
    place.ask(token)
    place.ask(place.start("shop"))
    counts = place.world.engine.metrics.validations
    assert [counts[k] for k in ("valid", "unknown", "ended", "wrong_application")] == [1, 1, 1, 1]


def test_taking_a_host_from_an_application_refuses_it_at_once(place: Any) -> None:
    token = place.start(instance="wiki.test")
    assert place.ask(token).status_code == 200
    place.world.engine.database.write(
        lambda c: update_application(
            c,
            "acme",
            "wiki",
            ApplicationChange(gate_hosts=["docs.test"]),
            actor=SYSTEM,
            now=place.world.clock(),
            random=place.world.engine.random,
        )
    )
    assert place.ask(token).status_code == 401
    place.world.clock.move(1)
    assert place.ask(token).json()["code"] == "gate_host_unknown"


def test_a_database_that_is_away_lets_nobody_in(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = place.start()
    assert place.ask(token).status_code == 200
    reader = place.world.engine.reader
    assert isinstance(reader, SqliteReader)

    class Away:
        def execute(self, *_: object) -> None:
            raise reader._module.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_connection", Away())
        answer = place.ask(token)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "disk" not in answer.text
    assert place.ask(token).status_code == 200

    def broken(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    place.world.clock.move(1)  # the host has to be read again as well
    with monkeypatch.context() as patch:
        patch.setattr("iam.gate.hosts.application_at", broken)
        assert place.ask(token).status_code == 503
