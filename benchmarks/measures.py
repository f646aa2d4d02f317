"""What is measured, each on a running server."""

import base64
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from argon2 import PasswordHasher

from benchmarks.load import LOAD_CORES, Load, Requests, run_load
from benchmarks.results import Results
from benchmarks.seed import APPLICATION, HOST, MANY, ORGANIZATION, PASSWORD, Seed
from iam.db import open_database
from iam.db.engine import prepare_sqlite, sqlite_module
from iam.kernel.clock import system_clock
from iam.settings import Settings
from tests.support.ports import free_port
from tests.support.processes import Process, Server
from tests.support.run import run_directory

WARM_UP = 75
"""Seconds: more than the minute within which activity is not written again."""

_HEAD = [
    "GET /gate/nginx HTTP/1.1",
    "Host: iam.bench",
    f"X-Forwarded-Host: {HOST}",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Uri: /reports/42?page=1",
    "X-Forwarded-For: 203.0.113.9",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0",
    "Accept: text/html",
    "Cookie: theme=dark; iam-app=@@",
]


@contextmanager
def bare_server() -> Iterator[tuple[int, int]]:
    """The application that does nothing; its port and process ID."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(port)]
    with Process(command, name="bare") as process:
        process.wait_ready(f"http://127.0.0.1:{port}/", 204)
        yield port, process.pid


def server_on(url: str, name: str = "iam") -> Server:
    """`iam serve` on this database."""
    return Server(database_url=url, name=name)


def gate(results: Results, seed: Seed, server: Server, label: str, least: float) -> Load:
    """Requests a second through the gate beside the bare application; then latency at half load."""
    validate = Requests.make("gate", _HEAD, "", seed.tokens)
    with bare_server() as (bare, bare_pid):
        run_load(bare, validate, seconds=1)
        # Until every session has been touched once, at a moment of its own: from then on as many touches
        # fall due as always will. Before, there are none, and then all at once.
        run_load(server.port, validate, seconds=WARM_UP)
        with loops_apart(bare_pid, server.pid):
            pairs = [
                (
                    run_load(bare, validate, seconds=2.5).rate,
                    run_load(server.port, validate, seconds=2.5).rate,
                )
                for _ in range(11)
            ]
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    baseline = statistics.median(theirs for theirs, _ in pairs)
    # The ratio of each pair counts: the machine may be slower for both from one pair to the next.
    results.add(
        f"gate, {label}: validations",
        baseline * ratio,
        "1/s",
        baseline=baseline,
        least=least,
        of_ratio=True,
    )
    half = baseline * ratio / 2
    quiet = run_load(server.port, validate, seconds=6, rate=half)
    results.add(f"gate, {label}: p50 at half load", quiet.p50, "ms")
    results.add(f"gate, {label}: p99 at half load", quiet.p99, "ms")
    with sign_ins(server, 8) as counted:
        busy = run_load(server.port, validate, seconds=6, rate=half)
    results.add(
        f"gate, {label}: p50 beside 8 sign-ins at a time", busy.p50, "ms", baseline=quiet.p50
    )
    results.add(
        f"gate, {label}: p99 beside 8 sign-ins at a time", busy.p99, "ms", baseline=quiet.p99
    )
    results.add(f"gate, {label}: sign-ins meanwhile", counted[0] / 6, "1/s")
    return quiet


@contextmanager
def loops_apart(*pids: int) -> Iterator[None]:
    """Keep the event loops of these processes off the load's core; their other threads go where they like.

    A loop that the scheduler puts beside the client is a third slower until it is moved away again, by
    chance for the one and not for the other.
    """
    cores = os.sched_getaffinity(0)
    for pid in pids:  # of a process, this is its first thread
        os.sched_setaffinity(pid, cores - LOAD_CORES or cores)
    try:
        yield
    finally:
        for pid in pids:
            os.sched_setaffinity(pid, cores)


@contextmanager
def sign_ins(server: Server, at_a_time: int) -> Iterator[list[int]]:
    """Keep so many password sign-ins going; the list holds how many were done."""
    stop = threading.Event()
    done = [0]

    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while not stop.is_set():
            _sign_in(connection, f"user{number + 1:06d}")
            done[0] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(at_a_time)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    done[0] = 0
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _sign_in(connection: http.client.HTTPConnection, user: str) -> None:
    body = {
        "organization": ORGANIZATION,
        "application": APPLICATION,
        "username": user,
        "password": PASSWORD,
    }
    _post(connection, "/v1/sign-in", body, {}, 201)


def _post(
    connection: http.client.HTTPConnection,
    path: str,
    body: dict[str, Any],
    headers: dict[str, str],
    status: int,
) -> dict[str, Any]:
    sent = {"content-type": "application/json", **headers}
    connection.request("POST", path, json.dumps(body), sent)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != status:
        raise RuntimeError(f"{path} answered {answer.status}: {content[:300]!r}")
    decoded: dict[str, Any] = json.loads(content)
    return decoded


def starts(
    results: Results, seed: Seed, server: Server, url: str, label: str, least: float
) -> None:
    """Sessions a second that a back end starts through the API, beside bare commits."""
    body = json.dumps({"user": "user000001", "instance": "a", "metadata": {"rack": 7}})
    credentials = base64.b64encode(seed.client[url].encode()).decode()
    head = [
        "POST /v1/sessions HTTP/1.1",
        "Host: iam.bench",
        f"Authorization: Basic {credentials}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    requests = Requests.make("start", head, body.replace("user000001", "@@"), seed.names)
    run_load(server.port, requests, seconds=1, connections=16)
    rates = [run_load(server.port, requests, seconds=3, connections=16).rate for _ in range(3)]
    bare = bare_commits(url)
    results.add(
        f"start a session, {label}", statistics.median(rates), "1/s", baseline=bare, least=least
    )


def bare_commits(url: str) -> float:
    """Durable commits of one small row a second: what this disk and database can do at best."""
    database = open_database(url)
    seconds, counts = 2.0, []
    if database.is_sqlite:
        path = Path(str(database.url.database)).with_name("commits.db")
        connection = sqlite_module().connect(str(path), isolation_level=None)
        prepare_sqlite(connection)
        connection.execute("CREATE TABLE IF NOT EXISTS t (x TEXT)")
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            connection.execute("INSERT INTO t VALUES ('x')")
            counts.append(1)
        connection.close()
        return len(counts) / seconds
    plain = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as one:
        one.execute("CREATE TABLE IF NOT EXISTS bare_commit (x text)")

    def work(_: int) -> int:
        done = 0
        with psycopg.connect(plain, autocommit=True) as own:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                own.execute("INSERT INTO bare_commit VALUES ('x')")
                done += 1
        return done

    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(work, range(16)))
    return sum(counts) / seconds


def password(results: Results, server: Server) -> None:
    """The wall time of a password sign-in beside that of its hash alone."""
    settings = Settings()
    hasher = PasswordHasher(
        time_cost=settings.password_passes, memory_cost=settings.password_memory_kib, parallelism=1
    )
    stored = hasher.hash(PASSWORD)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    pairs = []
    for number in range(25):
        begin = time.perf_counter()
        hasher.verify(stored, PASSWORD)
        middle = time.perf_counter()
        _sign_in(connection, f"user{number + 100:06d}")
        pairs.append((middle - begin, time.perf_counter() - middle))
    connection.close()
    bare = statistics.median(one for one, _ in pairs[5:]) * 1000
    ratio = statistics.median(ours / theirs for theirs, ours in pairs[5:])
    results.add("password sign-in", bare * ratio, "ms", baseline=bare, most=1.15, of_ratio=True)


def end_thousand(results: Results, server: Server, label: str) -> None:
    """One request that ends all sessions of a user at an application."""
    token = server.command("token").stdout.splitlines()[-1]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    record = f"/v1/session-records/{ORGANIZATION}/{MANY}/{APPLICATION}"
    headers = {"authorization": f"Bearer {token}"}
    connection.request("GET", record, headers=headers)
    live = json.loads(connection.getresponse().read())["session_ids"]
    if len(live) < 1000:
        raise RuntimeError(f"the user has {len(live)} sessions")
    begin = time.perf_counter()
    connection.request("DELETE", record, headers=headers)
    answer = connection.getresponse()
    answer.read()
    seconds = time.perf_counter() - begin
    if answer.status != 204:
        raise RuntimeError(f"ending the record answered {answer.status}")
    connection.close()
    results.add(f"end 1,000 sessions of a user, {label}", seconds, "s", most=1)


def sweep(results: Results, seed: Seed, url: str, label: str, rate: float) -> None:
    """The gate's p99 while a hundred thousand sessions that have just expired are swept."""
    number = min(100_000, seed.sessions // 3)
    validate = Requests.make("live", _HEAD, "", seed.without_first(number + 2000))
    over = system_clock() + 40_000
    expire = (
        f"UPDATE session SET expires_at = {over}, check_at = {over} WHERE id IN "
        f"(SELECT id FROM session WHERE ended_at IS NULL AND application = '{APPLICATION}' "
        f"AND organization = '{ORGANIZATION}' ORDER BY id LIMIT {number})"
    )
    begin = time.perf_counter()
    database = open_database(url)
    with database.engine.connect() as connection:
        connection.exec_driver_sql(expire)
        connection.commit()
    database.close()
    with server_on(url, "swept") as server:
        run_load(server.port, validate, seconds=2)
        quiet = _median_p99(server, validate, rate)
        if time.perf_counter() - begin > 39:
            raise RuntimeError("this machine is too slow to be measured before the sweep begins")
        while not _ended(server):
            time.sleep(0.05)
        begin = time.perf_counter()
        busy = _median_p99(server, validate, rate)
        if _ended(server) >= number:
            raise RuntimeError("the sweep was over before it was measured")
        while _ended(server) < number:
            time.sleep(0.2)
        seconds = time.perf_counter() - begin
    results.add(
        f"gate, {label}: p99 while {number:,} sessions are swept",
        busy,
        "ms",
        baseline=quiet,
        most=2,
        of_ratio=True,
    )
    results.add(f"sweep of {number:,} sessions, {label}", seconds, "s")


def _median_p99(server: Server, requests: Requests, rate: float) -> float:
    """Of several short runs, so that one hiccup of the machine is not taken for ours. Milliseconds."""
    runs = [run_load(server.port, requests, seconds=1.6, rate=rate) for _ in range(5)]
    return statistics.median(run.p99 for run in runs)


def _ended(server: Server) -> int:
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        text = answer.read().decode()
    counts = re.findall(r'^iam_sessions_ended_total\{reason="expired"\} ([0-9.e+]+)$', text, re.M)
    return int(float(counts[0])) if counts else 0


def start_up(results: Results, url: str) -> None:
    """From the command to the first answer, with all sessions in the database."""
    times = []
    for _ in range(3):
        port = free_port()
        begin = time.perf_counter()
        process = _serve(url, port)
        while not _answers(port):
            if process.poll() is not None:
                raise RuntimeError("the server does not start on the measured database")
            time.sleep(0.005)
        times.append(time.perf_counter() - begin)
        process.terminate()
        process.wait()
    results.add("start to first answer", statistics.median(times), "s", most=2)


def _serve(url: str, port: int) -> "subprocess.Popen[bytes]":
    env = {
        "PATH": os.environ["PATH"],
        "IAM_DATABASE_URL": url,
        "IAM_PORT": str(port),
        "IAM_ISSUER": f"http://127.0.0.1:{port}",
        "IAM_DATA_DIR": str(run_directory()),
    }
    command = [sys.executable, "-m", "iam.cli", "serve"]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/gate/nginx", headers={"X-Forwarded-Host": HOST})
        return connection.getresponse().status == 401
    except OSError:
        return False
    finally:
        connection.close()


def memory(results: Results, seed: Seed, server: Server) -> None:
    """What the process that has served all this keeps resident."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    name = f"resident memory, {seed.sessions:,} sessions"
    results.add(name, int(resident.split()[1]) / 1024, "MB", most=150)
