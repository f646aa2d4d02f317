"""Two tenants with everything in them, for tests of who may reach what."""

from dataclasses import dataclass

from iam.directory.providers import add_link, link_id
from tests.support.basic import basic
from tests.support.world import World


@dataclass
class Tenant:
    """An organization, its people and their headers. `session` is the user's at application `shop`;
    `delivery` is a notice that waits for `webhook`, `mail` one about another session of the user, `link` what
    provider `idp` knows her by."""

    name: str
    administrator: dict[str, str]
    user: dict[str, str]
    client: dict[str, str]
    session: str
    token: str
    webhook: str
    delivery: str
    mail: str
    link: str


def make_tenant(world: World, name: str) -> Tenant:
    """An organization with an administrator `boss`, a user `ann` and an application `shop`."""
    world.make_organization(name)
    world.make_user(name, "boss", roles=["administrator"])
    world.make_user(name, "ann", email=f"ann@{name}.example")
    shop = world.make_application(name, "shop", redirect_uris=[f"https://{name}.example/cb"])
    token = world.sign_in(name, "ann", application="shop")
    boss = world.bearer(world.sign_in(name, "boss"))
    body = {
        "organization": name,
        "url": f"https://{name}.example/",
        "event_types": ["user.deleted"],
    }
    webhook = world.post("/v1/webhooks", json=body, headers=boss).json()["id"]
    delivery = world.post(f"/v1/webhooks/{webhook}/test", headers=boss).json()["id"]
    user = world.bearer(world.sign_in(name, "ann"))
    former, world.address = world.address, "203.0.113.9"
    world.sign_in(name, "ann")
    world.address = former
    mail = world.get("/v1/mails", headers=boss).json()["items"][0]["id"]
    return Tenant(
        link=_link(world, name, boss),
        name=name,
        administrator=boss,
        user=user,
        client=basic(shop),
        session=token.split(".", maxsplit=1)[0],
        token=token,
        webhook=webhook,
        delivery=delivery,
        mail=mail,
    )


def _link(world: World, organization: str, boss: dict[str, str]) -> str:
    body = {
        "organization": organization,
        "name": "idp",
        "kind": "oidc",
        "options": {"issuer": f"https://id.{organization}.example", "client_id": "iam"},
        "client_secret": "known to both",
    }
    made = world.post("/v1/providers", json=body, headers=boss)
    assert made.status_code == 201, made.text
    user = world.get(f"/v1/users/{organization}/ann", headers=boss).json()["id"]
    engine, now = world.engine, world.clock()
    link = engine.database.write(lambda c: add_link(c, made.json()["id"], "ann there", user, now))
    return link_id(link)
