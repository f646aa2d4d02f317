"""From settings to an engine."""

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from anyio import CapacityLimiter

from iam.db import Database, open_database
from iam.db.migrate import migrate
from iam.delivery.fetch import Documents, Fetcher
from iam.directory.callers import Callers
from iam.kernel.clock import Clock
from iam.kernel.secrets import Random
from iam.keys import KeyRing, load_keys
from iam.keys.cipher import make_key_file, open_cipher
from iam.server.bootstrap import FirstStart, bootstrap
from iam.sessions import touch
from iam.sessions.reader import SESSIONS, open_reader
from iam.sessions.touch import Touches
from iam.settings import Settings
from iam.signin.passwords import Passwords
from iam.web.changes import Changes
from iam.web.engine import Engine
from iam.web.metrics import Metrics


def make_passwords(settings: Settings, random: Random) -> Passwords:
    """The password hasher with this installation's parameters."""
    return Passwords(
        memory_kib=settings.password_memory_kib, passes=settings.password_passes, random=random
    )


def prepare_database(settings: Settings, clock: Clock, random: Random) -> FirstStart | None:
    """Migrate, and on a first start make what is needed; answer what was made.

    Raises:
        SchemaTooNew, DatabaseUnavailable, EncryptionKeyMissing, EncryptionKeyWrong: as they say.
    """
    database = open_database(settings.database)
    try:
        migrate(database)
        make_key_file(settings, random)
        passwords, cipher = make_passwords(settings, random), open_cipher(settings)
        return database.write(
            lambda c: bootstrap(c, passwords, settings.admin_password, cipher, clock(), random)
        )
    finally:
        database.close()


def build_engine(settings: Settings, clock: Clock, random: Random) -> Engine:
    """Open everything a process needs, on a database that has been prepared.

    Call it on the event loop that will serve: the validating reader belongs to it.
    """
    database: Database = open_database(settings.database)
    metrics, cipher = Metrics(), open_cipher(settings)
    fetcher = Fetcher(allow_private=settings.delivery_allow_private)
    return Engine(
        settings=settings,
        database=database,
        clock=clock,
        random=random,
        reader=open_reader(database, SESSIONS),
        touches=Touches(),
        passwords=make_passwords(settings, random),
        hash_pool=ThreadPoolExecutor(
            settings.password_workers, thread_name_prefix="password", initializer=_give_way
        ),
        threads=CapacityLimiter(4),
        changes=Changes(database),
        callers=Callers(database),
        cipher=cipher,
        fetcher=fetcher,
        documents=Documents(fetcher),
        key_ring=KeyRing(database.look(lambda connection: load_keys(connection, cipher))),
        metrics=metrics,
    )


def _give_way() -> None:
    """Let this thread have a core only when nobody else wants it (Linux: niceness is a thread's own).

    A password takes a core for tens of milliseconds; thousands of validations must not queue for it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


async def close_engine(engine: Engine) -> None:
    """Write the touches that wait and give everything back."""
    await engine.reader.close()
    await engine.callers.close()
    await engine.fetcher.close()
    for close in engine.closers:
        await close()
    engine.hash_pool.shutdown(wait=True, cancel_futures=True)
    engine.changes.close()
    touches = engine.touches.take()
    engine.database.write(
        lambda connection: touch.write_touches(connection, touches, engine.clock())
    )
    engine.database.close()
