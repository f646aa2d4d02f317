"""`python -m benchmarks`: everything, in about a quarter of an hour. Fewer `--sessions` make a rehearsal,
no result."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import history, measures, saml, tokens
from benchmarks.results import Results
from benchmarks.seed import Seed
from tests.support.postgres import Cluster
from tests.support.run import Run, run_directory

SESSIONS = 1_000_000
_POSTGRES = {"shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="live sessions (1,000,000)")
    parser.add_argument("--only", choices=["sqlite", "postgresql", "search"], help="one part alone")
    arguments = parser.parse_args()
    run = Run()
    try:
        results = Results()
        seed = Seed(run_directory(), arguments.sessions)
        if arguments.only in (None, "sqlite"):
            _sqlite(results, seed)
        if arguments.only in (None, "postgresql"):
            _postgres(results, seed)
        if arguments.only in (None, "search"):
            _search(results, arguments.sessions)
    finally:
        run.close()
    results.print()
    if arguments.sessions == SESSIONS and arguments.only is None:
        results.write()


def _sqlite(results: Results, seed: Seed) -> None:
    url = f"sqlite:///{run_directory() / 'iam.db'}"
    with _step("SQLite: filling"):
        seed.fill(url)
    measures.start_up(results, url)
    with measures.server_on(url) as server:
        measures.password(results, server)
        quiet = measures.gate(results, seed, server, "SQLite", 0.80)
        measures.memory(results, seed, server)
        measures.starts(results, seed, server, url, "SQLite", 1000)
        measures.end_thousand(results, server, "SQLite")
    measures.sweep(results, seed, url, "SQLite", quiet.rate)
    tokens.measure(results, f"sqlite:///{run_directory() / 'tokens.db'}", "SQLite")
    saml.measure(results)


def _postgres(results: Results, seed: Seed) -> None:
    cluster = Cluster.create(run_directory() / "pg", durable=True, settings=_POSTGRES)
    try:
        url = cluster.new_database()
        with _step("PostgreSQL: filling"):
            seed.fill(url)
        with measures.server_on(url) as server:
            quiet = measures.gate(results, seed, server, "PostgreSQL", 0.60)
            measures.starts(results, seed, server, url, "PostgreSQL", 770)
            measures.end_thousand(results, server, "PostgreSQL")
        measures.sweep(results, seed, url, "PostgreSQL", quiet.rate)
        tokens.measure(results, cluster.new_database(), "PostgreSQL")
    finally:
        cluster.remove()


def _search(results: Results, sessions: int) -> None:
    settings = {**_POSTGRES, "fsync": "off"}  # of the filling; a search writes nothing
    cluster = Cluster.create(run_directory() / "pg-search", durable=True, settings=settings)
    try:
        url = cluster.new_database()
        with _step(f"PostgreSQL: filling with {sessions * history.ENDED_PER_LIVE:,} ended ones"):
            history.fill(url, sessions)
        with measures.server_on(url) as server:
            history.search(results, server)
            history.pages(results, server)
    finally:
        cluster.remove()


@contextmanager
def _step(words: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    print(f"{words}: {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
