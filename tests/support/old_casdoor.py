"""A Casdoor installation as its server leaves it: tables as xorm makes them, and passwords as it hashes them.

Tables, columns and algorithms are those of the public source (`object/*.go`, `cred/*.go`), written down here
by hand, so that what is tested is not compared with itself.
"""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bcrypt
import psycopg
from argon2 import PasswordHasher
from argon2.low_level import Type

from tests.support.mariadb import MariaDb
from tests.support.postgres import Cluster

Rows = Mapping[str, Sequence[Mapping[str, Any]]]

_NAMES = "owner:v100! name:v100! created_time:v100"
TABLES: dict[str, str] = {
    "organization": f"{_NAMES} display_name:v100 website_url:v100 logo:v200 favicon:v200"
    " has_privilege_consent:bool password_type:v100 password_salt:v100 password_options:v100"
    " password_obfuscator_type:v100 password_obfuscator_key:v100 password_expire_days:int"
    " country_codes:mediumtext default_avatar:v200 default_application:v100 user_types:mediumtext"
    " tags:mediumtext languages:v255 theme_data:json master_password:v200 default_password:v200"
    " master_verification_code:v100 ip_whitelist:v200 init_score:int enable_soft_deletion:bool"
    " is_profile_public:bool use_email_as_username:bool enable_tour:bool disable_signin:bool"
    " enable_exclusive_signin:bool max_sessions:int mfa_items:v300 account_items:mediumtext",
    "application": f"{_NAMES} display_name:v100 category:v20 type:v20 scopes:mediumtext logo:v200"
    " homepage_url:v100 description:v100 organization:v100 cert:v100 enable_password:bool"
    " enable_sign_up:bool disable_signin:bool enable_signin_session:bool enable_auto_signin:bool"
    " enable_exclusive_signin:bool saml_reply_url:v500 providers:mediumtext signin_methods:v2000"
    " signup_items:v3000 grant_types:v1000 tags:mediumtext is_shared:bool client_id:v100"
    " client_secret:v100 redirect_uris:v1000 backchannel_logout_uri:v500 token_format:v100"
    " token_signing_method:v100 token_fields:v1000 expire_in_hours:float"
    " refresh_expire_in_hours:float cookie_expire_in_hours:bigint signup_url:v200 theme_data:json"
    " failed_signin_limit:int failed_signin_frozen_time:int max_sessions:int",
    "user": "owner:v100! name:v255! created_time:v100 updated_time:v100 deleted_time:v100 id:v100"
    " external_id:v100 type:v100 password:v150 password_salt:v100 password_type:v100"
    " display_name:v100 first_name:v100 last_name:v100 avatar:text avatar_type:v100 email:v100"
    " email_verified:bool phone:v100 country_code:v6 region:v100 address:text addresses:blob"
    " affiliation:v100 tag:v100 language:v100 score:int karma:int ranking:int is_default_avatar:bool"
    " is_online:bool is_admin:bool is_forbidden:bool is_deleted:bool signup_application:v100"
    " hash:v100 pre_hash:v100 access_key:v100 access_secret:v100 created_ip:v100"
    " last_signin_time:v100 last_signin_ip:v100 github:v100 google:v100 gitlab:v100 azuread:v100"
    " wechat:v100 custom:v100 webauthnCredentials:blob preferred_mfa_type:v100"
    " recovery_codes:mediumtext totp_secret:v100 mfa_phone_enabled:bool mfa_email_enabled:bool"
    " ldap:v100 properties:text roles:text permissions:text groups:mediumtext"
    " last_signin_wrong_time:v100 signin_wrong_times:int managedAccounts:blob"
    " need_update_password:bool",
    "provider": f"{_NAMES} display_name:v100 category:v100 type:v100 sub_type:v100 method:v100"
    " client_id:v200 client_secret:v3000 client_id2:v100 client_secret2:v500 cert:v100"
    " custom_auth_url:v200 custom_token_url:v200 custom_user_info_url:v200 custom_logo:v200"
    " scopes:v100 user_mapping:v500 host:v100 port:int disable_ssl:bool endpoint:v1000 domain:v100"
    " metadata:mediumtext id_p:mediumtext issuer_url:v100 enable_sign_authn_request:bool"
    " email_regex:v200 provider_url:v200 enable_pkce:bool",
    "cert": f"{_NAMES} display_name:v100 scope:v100 type:v100 crypto_algorithm:v100 bit_size:int"
    " expire_in_years:int certificate:mediumtext private_key:mediumtext",
    "role": f"{_NAMES} display_name:v100 description:v100 users:mediumtext groups:mediumtext"
    " roles:mediumtext domains:mediumtext is_enabled:bool",
    "session": "owner:v100! name:v100! application:v100! created_time:v100 session_id:text",
    "token": f"{_NAMES} application:v100 organization:v100 user:v100 access_token:mediumtext",
    "record": "id:int! organization:v100 action:v1000",
}
_TYPES = {
    "mysql": {
        "bool": "TINYINT(1)",
        "int": "INT",
        "bigint": "BIGINT",
        "float": "DOUBLE",
        "text": "TEXT",
        "mediumtext": "MEDIUMTEXT",
        "blob": "BLOB",
        "json": "JSON",
    },
    "postgresql": {
        "bool": "BOOLEAN",
        "int": "INTEGER",
        "bigint": "BIGINT",
        "float": "DOUBLE PRECISION",
        "text": "TEXT",
        "mediumtext": "TEXT",
        "blob": "BYTEA",
        "json": "JSON",
    },
    "sqlite": {
        "bool": "INTEGER",
        "int": "INTEGER",
        "bigint": "INTEGER",
        "float": "REAL",
        "text": "TEXT",
        "mediumtext": "TEXT",
        "blob": "BLOB",
        "json": "TEXT",
    },
}


def create_statements(dialect: str, prefix: str = "") -> list[str]:
    """What makes the tables."""
    quote = "`" if dialect == "mysql" else '"'
    made = []
    for name, columns in TABLES.items():
        lines, key = [], []
        for column in columns.split():
            word, kind = column.split(":")
            if kind.endswith("!"):
                key.append(f"{quote}{word}{quote}")
            kind = kind.rstrip("!")
            type_ = f"VARCHAR({kind[1:]})" if kind[0] == "v" else _TYPES[dialect][kind]
            lines.append(f"{quote}{word}{quote} {type_}")
        body = ", ".join([*lines, f"PRIMARY KEY ({', '.join(key)})"])
        made.append(f"CREATE TABLE {quote}{prefix}{name}{quote} ({body})")
    return made


def insert_statements(dialect: str, rows: Rows, prefix: str = "") -> list[tuple[str, list[Any]]]:
    """What fills them; rows are as `init_data.json` has them, by the names of the tables."""
    quote = "`" if dialect == "mysql" else '"'
    mark = "?" if dialect == "sqlite" else "%s"
    made = []
    for name, some in rows.items():
        kinds = dict(one.split(":") for one in TABLES[name].split())
        for row in some:
            columns = {_snake(field): value for field, value in row.items()}
            assert columns.keys() <= kinds.keys(), columns.keys() - kinds.keys()
            names = ", ".join(f"{quote}{one}{quote}" for one in columns)
            marks = ", ".join(mark for _ in columns)
            values = [_stored(value, kinds[one], dialect) for one, value in columns.items()]
            made.append(
                (f"INSERT INTO {quote}{prefix}{name}{quote} ({names}) VALUES ({marks})", values)
            )
    return made


def _snake(field: str) -> str:
    if field in ("webauthnCredentials", "managedAccounts"):
        return field
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in field)


def _stored(value: Any, kind: str, dialect: str) -> Any:
    if isinstance(value, list | dict):
        value = json.dumps(value)
    if isinstance(value, bool) and dialect != "postgresql":
        return int(value)
    return value.encode() if kind == "blob" and isinstance(value, str) else value


def in_sqlite(path: Path, rows: Rows, prefix: str = "") -> str:
    """Casdoor on SQLite; its address."""
    connection = sqlite3.connect(path)
    with connection:
        for statement in create_statements("sqlite", prefix):
            connection.execute(statement)
        for statement, values in insert_statements("sqlite", rows, prefix):
            connection.execute(statement, values)
    connection.close()
    return f"sqlite:///{path}"


def in_postgres(cluster: Cluster, rows: Rows) -> str:
    """Casdoor on PostgreSQL; its address."""
    url = cluster.new_database()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for statement in create_statements("postgresql"):
            connection.execute(statement)
        for statement, values in insert_statements("postgresql", rows):
            connection.execute(statement, values)
    return url.replace("+psycopg", "")


def in_mariadb(server: MariaDb, rows: Rows) -> str:
    """Casdoor on MariaDB; its address."""
    name = server.new_database()
    with server.connect(name) as connection, connection.cursor() as cursor:
        for statement in create_statements("mysql"):
            cursor.execute(statement)
        for statement, values in insert_statements("mysql", rows):
            cursor.execute(statement, values)
    return server.url(name)


def as_init_data(rows: Rows) -> dict[str, Any]:
    """The same as `casdoor -export` writes it."""
    return {f"{name}s": [dict(one) for one in some] for name, some in rows.items()}


# ----------------------------------------------------------------------------------------------------
# Passwords, as cred/*.go makes them.


def salted(algorithm: str, password: str, salt: str) -> str:
    """`salt` (sha256), `sha512-salt`, `md5-salt`: hashed, and the text of that with the salt once more."""
    once = hashlib.new(algorithm, password.encode()).hexdigest()
    return hashlib.new(algorithm, (once + salt).encode()).hexdigest()


def unsalted(algorithm: str, password: str) -> str:
    """The same in the versions that leave the second round out where the salt is empty."""
    return hashlib.new(algorithm, password.encode()).hexdigest()


def bcrypted(password: str) -> str:
    """`bcrypt`, with Go's default cost lowered for the test's sake."""
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()


def argon2ided(password: str, pepper: str = "") -> str:
    """`argon2id`, whose newer versions put what the salt holds in front of the password."""
    hasher = PasswordHasher(
        time_cost=1, memory_cost=64, parallelism=2, hash_len=32, salt_len=16, type=Type.ID
    )
    return hasher.hash(pepper + password)


def pbkdf2ed(password: str, salt: bytes) -> str:
    """`pbkdf2-salt`: the salt is base64, as Keycloak has it."""
    made = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 27500, 64)
    return base64.b64encode(made).decode()


def djangoed(password: str, salt: str, iterations: int = 1000) -> str:
    """`pbkdf2-django`."""
    made = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), iterations)
    return f"pbkdf2_sha256${iterations}${salt}${base64.b64encode(made).decode()}"
