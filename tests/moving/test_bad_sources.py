"""What cannot be read is said in one sentence, and nothing is written by halves."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from iam.db import open_database
from iam.moving.databases import opened_source
from tests.moving.conftest import (
    PASSWORD,
    SALT,
    in_file,
    installation,
    run_import,
    user,
)
from tests.moving.test_taking_over import everything, finding
from tests.support import old_casdoor as casdoor
from tests.support.mariadb import MariaDb
from tests.support.ports import free_port
from tests.support.postgres import Cluster
from tests.support.world import World


def refused(world: World, *arguments: str) -> str:
    """The one sentence that a run ends with, having changed nothing."""
    before = everything(world)

    done = run_import(world, *arguments)

    assert done.returncode == 1, done.stdout
    assert everything(world) == before
    (line,) = done.stderr.splitlines()
    assert line.startswith("iam: ")
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"users": [', "in line 1, column 12"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        (b"[]", "no object with lists"),
        (b'"text"', "no object with lists"),
        (b"{}", "holds no organizations"),
        (b'{"users": {"name": "alice"}}', "users is no list"),
        (b'{"users": ["alice"]}', "something that is no object"),
        (b'{"organizations": [], "users": null}', "holds no organizations"),
        (b"[" * 100_000, "is"),
        (b'{"users": [{"score": ' + b"9" * 10_000 + b"}]}", "is"),
    ],
)
def test_a_file_that_is_something_else(
    world: World, tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "init_data.json"
    path.write_bytes(content)

    assert says in refused(world, "--init-data", str(path))


def test_a_file_that_is_not_there_or_too_large(world: World, tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(513 * 1024 * 1024)

    assert "No such file" in refused(world, "--init-data", str(tmp_path / "nothing.json"))
    assert "Is a directory" in refused(world, "--init-data", str(tmp_path))
    assert "larger than 512 MiB" in refused(world, "--init-data", str(huge))


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "oracle://scott:tiger@host/casdoor",
        "mysql://root@localhost",
        "sqlite://",
        "root:123456@tcp(localhost:3306)/casdoor",
    ],
)
def test_an_address_that_is_none(world: World, url: str) -> None:
    refused(world, "--database-url", url)


def test_a_database_that_does_not_answer_or_lets_nobody_in(world: World) -> None:
    nobody, cluster, server = free_port(), Cluster.shared(), MariaDb.shared()

    for scheme in ("mysql", "postgresql"):
        url = f"{scheme}://root:s3cret@127.0.0.1:{nobody}/casdoor"
        assert "s3cret" not in refused(world, "--database-url", url)
    wrong = f"mysql://casdoor:s3cret@127.0.0.1:{server.port}/mysql"
    line = refused(world, "--database-url", wrong)
    assert "Access denied" in line
    assert "s3cret" not in line
    wrong = f"postgresql://iam:s3cret@127.0.0.1:{cluster.port}/postgres"
    line = refused(world, "--database-url", wrong)
    assert "password authentication failed" in line
    assert "s3cret" not in line
    assert "Unknown database" in refused(world, "--database-url", server.url("nowhere"))


def test_a_database_of_something_else(world: World, tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is no database, however long it is " * 100)
    assert "file is not a database" in refused(world, "--database-url", f"sqlite:///{text}")
    assert "There is no file" in refused(
        world, "--database-url", f"sqlite:///{tmp_path / 'none.db'}"
    )
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    empty.touch()
    assert "no database of Casdoor" in refused(world, "--database-url", f"sqlite:///{empty}")
    # Ours has tables of some of these names.
    own = world.engine.database.url.render_as_string()
    assert "no database of Casdoor" in refused(world, "--database-url", own)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    for name in ("organization", "application", "user"):
        connection.execute(f'CREATE TABLE "{name}" (id INTEGER, owner TEXT, name TEXT)')
    connection.close()
    assert "has no column" in refused(world, "--database-url", f"sqlite:///{other}")
    documents = tmp_path / "documents.db"
    connection = sqlite3.connect(documents)
    connection.execute("CREATE TABLE _entities (id TEXT, kind TEXT, data JSON, deleted INTEGER)")
    connection.execute("INSERT INTO _entities VALUES ('1', 'users', 'no json', 0)")
    connection.commit()
    connection.close()
    assert "is no JSON object" in refused(world, "--database-url", f"sqlite:///{documents}")


def test_one_source_is_named_and_the_report_can_be_written(world: World, tmp_path: Path) -> None:
    place = in_file(tmp_path, installation())

    assert "either --database-url or --init-data" in refused(world)
    assert "either" in refused(world, *place, "--database-url", "sqlite:///x.db")
    line = refused(world, *place, "--report", str(tmp_path / "no" / "folder.json"))
    assert "cannot be written" in line
    url = casdoor.in_sqlite(tmp_path / "casdoor.db", installation())
    assert "table prefix" in refused(world, "--database-url", url, "--table-prefix", 'x"; DROP')


def test_an_installation_that_was_never_started_takes_nobody_in(tmp_path: Path) -> None:
    place = in_file(tmp_path, installation())
    url = f"sqlite:///{tmp_path / 'fresh.db'}"
    from iam.db.migrate import migrate

    database = open_database(url)
    migrate(database)
    database.close()

    done = subprocess.run(
        [sys.executable, "-m", "iam.cli", "import", "casdoor", *place],
        env={"IAM_DATABASE_URL": url, "IAM_ENCRYPTION_KEY": "00" * 32, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Start the server once" in done.stderr


@pytest.mark.parametrize(
    ("table", "field", "value", "reason"),
    [
        ("user", "name", 7, "malformed"),
        ("user", "owner", None, "organization_missing"),
        ("user", "password", {"a": 1}, "malformed"),
        ("user", "isForbidden", "yes", "malformed"),
        ("user", "email", ["a@b.c"], "malformed"),
        ("application", "redirectUris", "https://x.example.com/", "malformed"),
        ("application", "redirectUris", [7], "malformed"),
        ("application", "cookieExpireInHours", "long", "malformed"),
        ("application", "cookieExpireInHours", 10**30, "malformed"),
        ("application", "organization", {"name": "acme"}, "malformed"),
        ("application", "providers", 7, "malformed"),
        ("organization", "disableSignin", 2, "malformed"),
        ("organization", "displayName", 7, "malformed"),
        ("organization", "name", {"a": 1}, "malformed"),
        ("organization", "name", None, "name_unusable"),
        ("application", "name", [], "malformed"),
        ("role", "users", {"acme/alice": True}, "malformed"),
    ],
)
def test_an_object_of_a_wrong_shape_is_left_out_and_the_others_are_not(
    world: World, tmp_path: Path, table: str, field: str, value: Any, reason: str
) -> None:
    rows = installation()
    rows["organization"].append({"owner": "admin", "name": "globex"})
    rows["user"].append({**user("eve", PASSWORD, "plain"), "owner": "globex"})
    wrong = rows[table][0]
    wrong[field] = value

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert reason in (tmp_path / "report.json").read_text()
    world.sign_in("globex", "eve", password=PASSWORD)


def test_strange_texts_are_made_fit_or_left_out(both_worlds: World, tmp_path: Path) -> None:
    world = both_worlds
    rows = installation()
    long = "x" * 200_000
    rows["user"] += [
        user("nul\0nul", PASSWORD, "plain"),
        user("wide", PASSWORD, "plain", displayName="two\nlines\0" + "y" * 500, email="no address"),
        user(long, PASSWORD, "plain", affiliation=long),
        user("half", PASSWORD, "plain", displayName="\ud800", properties={"\ud800": "\0"}),
        user(
            "full", PASSWORD, "plain", createdTime="yesterday", id="a b\0", email=f"{'e' * 300}@x.y"
        ),
        user("", PASSWORD, "plain"),
        user("../../etc", PASSWORD, "plain"),
    ]
    place = in_file(tmp_path, rows)

    done = run_import(world, *place, "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    found = world.get("/v1/users?organization=acme&limit=50", headers=world.admin).json()["items"]
    names = {one["name"]: one for one in found}
    assert {"alice", "bob", "nul-nul", "wide", "half", "full", "x" * 127, "etc"} <= names.keys()
    assert names["wide"]["email"] is None
    assert len(names["wide"]["display_name"]) == 128
    assert names["half"]["display_name"] == "?"
    assert finding(tmp_path / "report.json", "user", "acme/") == [(None, "name_unusable")]
    assert run_import(world, *place).returncode == 0


def test_no_name_of_theirs_reaches_the_terminal_as_more_than_a_name(
    world: World, tmp_path: Path
) -> None:
    rows = installation()
    rows["user"] += [
        user("\x1b[2J[/red]", "") | {"[/bold]": 1, "\ud800": 2},
        {"owner": "\ud800", "name": ["[/i]"]},
        {"owner": "acme", "name": {"[/i]": "\x1b"}},
    ]
    place = in_file(tmp_path, rows | {})
    path = Path(place[1])
    path.write_text(json.dumps(json.loads(path.read_text()) | {"[/b]\x1b": [1]}))

    done = run_import(world, *place)

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "[/bold]" in done.stdout


def test_who_is_there_twice_is_taken_once(world: World, tmp_path: Path) -> None:
    rows = installation()
    rows["user"] += [
        user("alice", "other", "plain"),
        user("zoe", PASSWORD, "plain", id="id-of-bob"),
    ]
    rows["organization"].append(dict(rows["organization"][0]))
    rows["application"].append(dict(rows["application"][0]))
    rows["role"].append(dict(rows["role"][0]))

    done = run_import(world, *in_file(tmp_path, rows), "--report", str(tmp_path / "report.json"))

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.json").read_text().count('"duplicate"') >= 4
    world.sign_in("acme", "alice", password=PASSWORD)
    assert ("id", "subject_taken") in finding(tmp_path / "report.json", "user", "acme/zoe")
    world.sign_in("acme", "zoe", password=PASSWORD)


def test_a_run_that_broke_off_is_taken_up_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost after the first batch, which stays whole."""
    from iam.moving import databases
    from iam.moving.move import Options
    from iam.moving.source import SourceUnreadable

    rows = installation()
    rows["user"] = [
        user(f"user-{number:02}", casdoor.salted("sha256", PASSWORD, SALT)) for number in range(25)
    ]
    url = casdoor.in_sqlite(tmp_path / "casdoor.db", rows)
    monkeypatch.setattr(Options, "__init__", _with_batches_of_ten(Options))
    whole = databases.CasdoorTables.users

    def broken(self: Any, batch: int) -> Any:
        for number, some in enumerate(whole(self, batch)):
            if number == 1:
                raise SourceUnreadable("Lost connection.")
            yield some

    monkeypatch.setattr(databases.CasdoorTables, "users", broken)
    first = run_import(world, "--database-url", url)
    monkeypatch.setattr(databases.CasdoorTables, "users", whole)

    def names() -> list[str]:
        listed = world.get("/v1/users?organization=acme&limit=50", headers=world.admin)
        return [one["name"] for one in listed.json()["items"]]

    assert (first.returncode, len(names())) == (1, 10)
    assert "Lost connection" in first.stderr
    again = run_import(world, "--database-url", url, "--report", str(tmp_path / "report.json"))
    assert again.returncode == 0, again.stderr
    assert len(names()) == 25
    summary = json.loads((tmp_path / "report.json").read_text())["summary"]["user"]
    assert summary == {"taken": 15, "there": 10, "refused": 0}


def _with_batches_of_ten(options: Any) -> Any:
    made = options.__init__

    def init(self: Any, **members: Any) -> None:
        made(self, **{**members, "batch": 10})

    return init


def test_what_goes_wrong_with_our_database_is_not_blamed_on_theirs(tmp_path: Path) -> None:
    url = casdoor.in_sqlite(tmp_path / "casdoor.db", installation())

    with pytest.raises(OperationalError), opened_source(url):
        raise OperationalError("COMMIT", None, Exception("our disk is full"))


def test_their_database_is_only_read(world: World, tmp_path: Path) -> None:
    server, cluster = MariaDb.shared(), Cluster.shared()
    rows = installation()
    url = casdoor.in_mariadb(server, rows)
    name = url.rpartition("/")[2]
    server.execute(
        f"CREATE USER reader_{name}@'127.0.0.1' IDENTIFIED BY 'r'",
        f"GRANT SELECT ON {name}.* TO reader_{name}@'127.0.0.1'",
    )
    reader = f"mysql://reader_{name}:r@127.0.0.1:{server.port}/{name}"
    assert run_import(world, "--database-url", reader).returncode == 0

    for address in (
        url,
        casdoor.in_postgres(cluster, rows),
        casdoor.in_sqlite(tmp_path / "c.db", rows),
    ):
        with pytest.raises(Exception, match=r"(?i)read.?only"), opened_source(address) as source:
            source._connection.exec_driver_sql("DELETE FROM token")  # type: ignore[attr-defined]  # each has one
