"""SAML: what a signed answer and the check of a signed request take, in this process and on one core."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from sqlalchemy import Connection

from benchmarks.results import Results
from iam.directory.saml_providers import find_entity
from iam.kernel.events import NOWHERE
from iam.saml.answer import Answer, Asked, decide
from iam.saml.bindings import authenticate, from_form, from_query, to_field
from iam.saml.key import saml_key
from iam.saml.reading import read_authn_request
from iam.saml.sso import sender_of
from iam.sessions import store
from tests.saml.conftest import Stage, make_key_pair, redirect_query, signed
from tests.support.run import run_directory
from tests.support.world import make_world

PEOPLE = 300


def measure(results: Results) -> None:
    """Signed requests checked, and signed responses with the start of a session, one after the other."""
    with make_world(f"sqlite:///{run_directory() / 'saml.db'}") as world:
        stage = Stage(world, make_key_pair())
        stage.populate()
        _requests(results, stage)
        _responses(results, stage)


def _requests(results: Results, stage: Stage) -> None:
    provider = stage.world.engine.database.read(lambda c: find_entity(c, stage.entity_id))
    assert provider is not None
    certificates = provider.metadata.certificates
    query = redirect_query(stage.request(), key=stage.key).encode()
    field = {"SAMLRequest": to_field(signed(stage.request(), stage.key))}

    def by_redirect() -> None:
        received = from_query(query)
        read_authn_request(received)
        authenticate(received, certificates, required=True)

    def by_post() -> None:
        received = from_form(field)
        read_authn_request(received)
        authenticate(received, certificates, required=True)

    for name, work in (("Redirect", by_redirect), ("POST", by_post)):
        results.add(f"SAML: signed AuthnRequest by {name}", _milliseconds(work), "ms", most=3)


def _responses(results: Results, stage: Stage) -> None:
    world, engine = stage.world, stage.world.engine
    now = world.clock()
    browsers = [world.sign_in("acme", "ada").split(".")[0] for _ in range(PEOPLE)]
    key = saml_key(engine, now)

    def asked(connection: Connection) -> Asked:
        provider, application = sender_of(connection, stage.entity_id)
        return Asked(
            provider=provider,
            application=application,
            consumer=stage.consumer,
            request_id="_r",
            relay_state=None,
            since=None,
            wishes={},
        )

    def answer(session: str) -> None:
        def work(connection: Connection) -> Any:
            row = store.read_live_row(connection, session)
            return decide(connection, engine, key, asked(connection), row, NOWHERE, now)

        made = engine.database.write(work)
        assert isinstance(made, Answer)
        assert made.started is not None
        to_field(made.root)

    begin, worked = time.perf_counter(), time.process_time()
    for session in browsers:
        answer(session)
    # One after the other each waits for the disk; what bounds a server is the core.
    of_core = PEOPLE / (time.process_time() - worked)
    results.add("SAML: signed responses with a start, by one core", of_core, "1/s", least=150)
    rate = PEOPLE / (time.perf_counter() - begin)
    results.add("SAML: the same, one after the other, each on disk", rate, "1/s")


def _milliseconds(work: Callable[[], None]) -> float:
    taken = []
    for _ in range(PEOPLE):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return median(taken) * 1000
