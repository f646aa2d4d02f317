"""Settings: every mistake is one clear sentence, and a server that would be unsafe does not start."""

from pathlib import Path

import pytest

from iam.settings import SettingsInvalid, load_settings


def test_without_any_setting_there_is_a_server_on_loopback_with_sqlite() -> None:
    settings = load_settings()

    assert (settings.issuer, settings.host, settings.port) == (
        "http://127.0.0.1:8000",
        "127.0.0.1",
        8000,
    )
    assert settings.database == f"sqlite:///{Path('data/iam.db').absolute()}"
    assert not settings.secure


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("IAM_PORT", "eighty", "IAM_PORT is 'eighty', but "),
        ("IAM_PORT", "65536", "IAM_PORT is '65536', but "),
        ("IAM_WORKERS", "0", "IAM_WORKERS is '0', but "),
        ("IAM_RETENTION", "59", "IAM_RETENTION is '59', but "),
        ("IAM_SWEEP_INTERVAL", "0", "IAM_SWEEP_INTERVAL is '0', but "),
        ("IAM_PASSWORD_MEMORY_KIB", "7", "IAM_PASSWORD_MEMORY_KIB is '7', but "),
        ("IAM_LOG_LEVEL", "loud", "IAM_LOG_LEVEL is 'loud', but it must be debug, info, "),
        ("IAM_ISSUER", "id.example.com", "but it must look like https://id.example.com."),
        ("IAM_ISSUER", "ftp://id.example.com", "but it must look like https://id.example.com."),
        ("IAM_ISSUER", "https://id.example.com:abc", "IAM_ISSUER is 'https://id.example.com:abc'"),
        ("IAM_ISSUER", "https://id.example.com/iam", "with no path after them."),
        ("IAM_ISSUER", "https://id.example.com/?a=b", "with no path after them."),
        ("IAM_ISSUER", "https://me@id.example.com", "with no path after them."),
        ("IAM_ISSUER", "http://id.example.com", "http is accepted on a loopback address only"),
        ("IAM_ISSUER", "http://10.0.0.1", "http is accepted on a loopback address only"),
        ("IAM_ISSUER", "http://127.0.0.1.evil.test", "http is accepted on a loopback address"),
        ("IAM_DATABASE_URL", "mysql://root@db/iam", "it must begin with postgresql://"),
        ("IAM_DATABASE_URL", "iam.db", "it must begin with postgresql://"),
        ("IAM_TRUSTED_PROXIES", "10.0.0.0/8, nobody", "IAM_TRUSTED_PROXIES is "),
        ("IAM_ENCRYPTION_KEY", "secret", "it must be 32 bytes as base64 or hexadecimal"),
        ("IAM_ENCRYPTION_KEY", "00" * 32 + ",x", "it must be 32 bytes as base64"),
        ("IAM_KEY_ROTATION", "-1", "IAM_KEY_ROTATION is '-1', but "),
        ("IAM_WORKERS", "2", "IAM_WORKERS above 1 needs PostgreSQL"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    (mistake,) = wrong.value.mistakes
    assert sentence in mistake
    assert mistake.startswith(name)
    assert mistake.endswith(".")
    assert "\n" not in mistake


def test_several_mistakes_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAM_PORT", "-1")
    monkeypatch.setenv("IAM_ISSUER", "nowhere")

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    assert len(wrong.value.mistakes) == 2


def test_a_short_administrators_password_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IAM_ADMIN_PASSWORD", "hunter2")

    with pytest.raises(SettingsInvalid) as wrong:
        load_settings()

    assert "hunter2" not in str(wrong.value)
    assert "at least 8 characters" in str(wrong.value)


def test_a_password_is_in_no_representation_of_the_settings() -> None:
    assert "correct horse" not in repr(load_settings(admin_password="correct horse"))


def test_what_the_command_line_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAM_PORT", "9000")

    assert load_settings(port=9001).port == 9001
    assert load_settings(port=None).port == 9000


@pytest.mark.parametrize(
    "issuer",
    [
        "http://localhost:8000",
        "http://[::1]:8000",
        "http://127.8.9.1",
        "http://id.localhost",
        "https://id.example.com",
        "https://id.example.com/",
    ],
)
def test_https_is_accepted_anywhere_and_http_on_loopback(issuer: str) -> None:
    settings = load_settings(issuer=issuer)

    assert settings.issuer == issuer.rstrip("/")
    assert settings.secure == issuer.startswith("https")


def test_several_workers_are_accepted_with_postgresql() -> None:
    settings = load_settings(workers=2, database_url="postgresql://iam@db/iam")

    assert settings.workers == 2
    assert not settings.is_sqlite


def test_proxies_are_networks_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAM_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1 ,2001:db8::/32,")

    assert [str(one) for one in load_settings().trusted_proxies] == [
        "10.0.0.0/8",
        "192.0.2.1/32",
        "2001:db8::/32",
    ]
