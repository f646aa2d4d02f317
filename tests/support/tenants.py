"""Two tenants with everything in them, for tests of who may reach what."""

from dataclasses import dataclass

from tests.support.basic import basic
from tests.support.world import World


@dataclass
class Tenant:
    """An organization, its people and their headers. `session` is the user's at application `shop`;
    `delivery` is a notice that waits for `webhook`."""

    name: str
    administrator: dict[str, str]
    user: dict[str, str]
    client: dict[str, str]
    session: str
    token: str
    webhook: str
    delivery: str


def make_tenant(world: World, name: str) -> Tenant:
    """An organization with an administrator `boss`, a user `ann` and an application `shop`."""
    world.make_organization(name)
    world.make_user(name, "boss", roles=["administrator"])
    world.make_user(name, "ann")
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
    return Tenant(
        name=name,
        administrator=boss,
        user=world.bearer(world.sign_in(name, "ann")),
        client=basic(shop),
        session=token.split(".", maxsplit=1)[0],
        token=token,
        webhook=webhook,
        delivery=delivery,
    )
