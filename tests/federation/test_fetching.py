"""What is asked of a provider: bounded, led nowhere, at no private address, and its keys not too often."""

from iam.directory.providers import NewProvider, create_provider
from tests.federation.conftest import Federation
from tests.support.federation_attacks import refused
from tests.support.surfer import Surfer
from tests.support.upstream import Upstream, new_ec_key
from tests.support.world import ISSUER, World


def test_what_the_provider_answers_is_bounded_and_led_nowhere(federation: Federation) -> None:
    upstream = federation.upstream
    path = "/.well-known/openid-configuration"
    for answer in (
        lambda: (302, b""),
        lambda: (404, b"{}"),
        lambda: (500, b"{}"),
        lambda: (200, b"<html>"),
        lambda: (200, b"[" * 100_000),
        lambda: (200, b'{"issuer": "' + b"x" * 300_000 + b'"}'),
        lambda: (200, b'{"issuer": "https://evil.example"}'),
        lambda: (200, b'{"issuer": "' + upstream.issuer.encode() + b'"}'),
        lambda: (200, b'{"issuer": "' + upstream.issuer.encode() + b'", "token_endpoint": 7}'),
    ):
        upstream.answers = {path: answer}
        surfer = federation.surfer()
        reply = surfer.get(f"/sign-in/with/{federation.provider['id']}")
        assert reply.status_code in (403, 503), reply.text
        assert "/sign-in/acme" in surfer.page
    assert "/elsewhere" not in {one for one, _, _ in upstream.requests}
    upstream.answers = {}
    for path in ("/token", "/jwks", "/userinfo"):
        for answer in (lambda: (302, b""), lambda: (500, b""), lambda: (200, b"\xff{")):
            federation.world.clock.move(3601)
            upstream.answers = {path: answer}
            surfer = federation.surfer()
            back = upstream.sign_in(federation.set_out(surfer))
            if path != "/jwks":
                refused(federation, surfer, back, 403, 503)
        upstream.answers = {}


def test_a_private_address_is_not_asked_unless_the_setting_says_so(world: World) -> None:
    world.make_organization("acme")
    admin = world.admin
    for url in (
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "http://id.example/",
        "https://localhost/",
    ):
        body = {
            "organization": "acme",
            "name": "inner",
            "kind": "oidc",
            "options": {"issuer": url, "client_id": "iam"},
        }
        answer = world.post("/v1/providers", json=body, headers=admin)
        assert answer.status_code == 403, url
        assert answer.json()["code"] == "provider_url_refused"


def test_nor_is_one_that_was_let_in_before_the_setting_was_changed(world: World) -> None:
    world.make_organization("acme")
    engine = world.engine
    with Upstream(world.clock) as upstream:
        options = {"issuer": upstream.issuer, "client_id": "iam"}
        new = NewProvider(kind="oidc", display_name="Inner", options=options)
        made = engine.database.write(
            lambda c: create_provider(
                c, "acme", "inner", new, now=world.clock(), random=engine.random
            )
        )
        assert Surfer(world).get(f"/sign-in/with/{made.id}").status_code == 403
        assert upstream.requests == []


def test_the_keys_may_change_and_are_not_asked_for_at_every_mistake(
    federation: Federation,
) -> None:
    upstream = federation.upstream
    assert federation.sign_in(subject="s").status_code == 303
    upstream.keys = [new_ec_key("two"), *upstream.keys]
    federation.world.clock.move(61)
    assert federation.sign_in(subject="s").status_code == 303

    def asked() -> int:
        return sum(path == "/jwks" for path, _, _ in upstream.requests)

    before = asked()
    upstream.sign = lambda claims: upstream.signed(claims, new_ec_key("unheard of"))
    for _ in range(5):
        assert federation.sign_in(subject="s").status_code == 403
    assert asked() - before <= 1


def test_a_provider_that_is_down_for_a_while_is_still_believed_by_its_last_keys(
    federation: Federation,
) -> None:
    upstream = federation.upstream
    assert federation.sign_in(subject="s").status_code == 303
    federation.world.clock.move(2 * 3600)
    upstream.answers = {
        "/jwks": lambda: (500, b""),
        "/.well-known/openid-configuration": lambda: (500, b""),
    }
    assert federation.sign_in(subject="s").status_code == 303
    federation.world.clock.move(25 * 3600)
    surfer = federation.surfer()
    path = f"/sign-in/with/{federation.provider['id']}"
    assert surfer.get(path).status_code == 503
    assert ISSUER not in surfer.page.split("<main")[1].split("</main")[0]
