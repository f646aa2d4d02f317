"""Two tenants with people and applications, made without HTTP: quick, and the same for every door."""

from sqlalchemy import Connection

from iam.directory.applications import Application, create_application
from iam.directory.organizations import create_organization
from iam.directory.users import ADMINISTRATOR, create_user
from iam.kernel.events import Origin, application_actor
from iam.signin.enter import enter_application, start_for_user
from tests.support.world import PASSWORD, World


def populate(world: World) -> dict[str, Application]:
    """`acme` (alice administers, bob) and `globex` (eve administers); the applications by name."""
    engine, now = world.engine, world.clock()
    password_hash = engine.passwords.hash(PASSWORD)

    def work(connection: Connection) -> dict[str, Application]:
        create_organization(connection, "acme", "Acme Corporation", now)
        create_organization(connection, "globex", "Globex", now)
        for organization, name, roles in (
            ("acme", "alice", [ADMINISTRATOR]),
            ("acme", "bob", []),
            ("globex", "eve", [ADMINISTRATOR]),
        ):
            create_user(
                connection,
                organization=organization,
                name=name,
                password_hash=password_hash,
                display_name=name.capitalize(),
                email=f"{name}@{organization}.example",
                roles=roles,
                now=now,
                random=engine.random,
            )
        made = {}
        for organization, name, uris, hosts in (
            ("acme", "wiki", ["https://wiki.acme.example/callback"], ["docs.acme.example"]),
            ("acme", "phone", ["com.acme.phone:/callback", "http://127.0.0.1/callback"], []),
            ("globex", "mail", ["https://mail.globex.example/callback"], []),
        ):
            made[name], _ = create_application(
                connection,
                organization=organization,
                name=name,
                display_name=name.capitalize(),
                redirect_uris=uris,
                gate_hosts=hosts,
                now=now,
                random=engine.random,
            )
        return made

    return engine.database.write(work)


def enter(world: World, browser_session: str, application: str, instance: str | None = None) -> str:
    """Enter an application of `acme` from a browser session; the ID of the child."""
    session, _, _ = world.engine.database.write(
        lambda c: enter_application(
            c,
            browser_session=browser_session,
            organization="acme",
            application=application,
            instance=instance,
            origin=Origin(),
            now=world.clock(),
            random=world.engine.random,
        )
    )
    return session.id


def serve_instance(world: World, instance: str, user: str = "bob") -> str:
    """A session that a back end holds; its ID."""
    return world.engine.database.write(
        lambda c: start_for_user(
            c,
            organization="acme",
            user=user,
            application="wiki",
            actor=application_actor("acme", "wiki"),
            instance=instance,
            metadata={"region": "<b>eu</b>", "n": 3},
            maximum_lifetime=None,
            origin=Origin(),
            device=None,
            now=world.clock(),
            random=world.engine.random,
        )
    ).session.id
