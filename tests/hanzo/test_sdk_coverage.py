"""Every method of Casdoor's SDKs: called in a test, or refused with a reason. A method that a new version
adds is in neither table, and fails the test."""

import ast
from pathlib import Path

import pytest

from tests.hanzo.sdk_site import Site
from tests.support.casdoor import async_python_sdk, node_sdk, python_sdk, sdk_methods

FILES = (
    "test_sdks",
    "test_object_sdks",
    "test_installation_sdks",
    "test_remaining_sdks",
    "test_browser_sdk",
)
APPLICATION = Path(__file__).parents[1] / "clients" / "casdoor" / "browser" / "app.mjs"

PERMISSIONS = "permissions (Casbin models) are not evaluated"
SHOP = "plans, products and payments are no business of a session server"
FILES_KEPT = "files are not kept"
ELSEWHERE = "mails and messages are sent by this server alone, about its own events"
LDAP = "users are not fetched from LDAP or other databases"
OWN = "webhooks are the server's own: /v1/webhooks"
CLOSED = "nobody registers by themselves"
KINDS = {
    "adapter": PERMISSIONS,
    "enforcer": PERMISSIONS,
    "model": PERMISSIONS,
    "invitation": CLOSED,
    "ldap": LDAP,
    "syncer": LDAP,
    "order": SHOP,
    "payment": SHOP,
    "plan": SHOP,
    "pricing": SHOP,
    "product": SHOP,
    "resource": FILES_KEPT,
    "subscription": SHOP,
    "transaction": SHOP,
    "webhook": OWN,
}
REFUSED = {
    "add_policy": PERMISSIONS,
    "update_policy": PERMISSIONS,
    "remove_policy": PERMISSIONS,
    "get_policies": PERMISSIONS,
    "get_filtered_policies": PERMISSIONS,
    "get_invitation_info": CLOSED,
    "update_invitation_for_columns": CLOSED,
    "get_ldap_users": LDAP,
    "sync_ldap_users": LDAP,
    "buy_product": SHOP,
    "place_order": SHOP,
    "pay_order": SHOP,
    "cancel_order": SHOP,
    "invoice_payment": SHOP,
    "notify_payment": SHOP,
    "get_user_orders": SHOP,
    "get_user_payments": SHOP,
    "get_user_transactions": SHOP,
    "add_transaction_with_dry_run": SHOP,
    "get_resource_ex": FILES_KEPT,
    "upload_resource": FILES_KEPT,
    "upload_resource_ex": FILES_KEPT,
    "delete_resource_with_tag": FILES_KEPT,
    "send_email": ELSEWHERE,
    "send_email_by_provider": ELSEWHERE,
    "send_notification": ELSEWHERE,
    "send_sms": ELSEWHERE,
    "send_sms_by_provider": ELSEWHERE,
    **{
        f"{verb}_{kind}": reason
        for kind, reason in KINDS.items()
        for verb in ("add", "update", "delete", "get")
    },
    **{f"get_{kind}s": reason for kind, reason in KINDS.items()},
    **{f"get_pagination_{kind}s": reason for kind, reason in KINDS.items()},
}
"""What the SDKs can ask for and is refused, by its name in Python; and why."""
REFUSED_IN_NODE = {
    "uploadResource": FILES_KEPT,
    "sendEmail": ELSEWHERE,
    "sendSms": ELSEWHERE,
    **{
        f"{verb}{kind.title()}{plural}": reason
        for kind, reason in KINDS.items()
        for verb in ("add", "update", "delete", "get")
        for plural in (("", "s") if verb == "get" else ("",))
    },
}
INNER = {
    *("access_token", "certification", "custom_encoder", "custom_headers", "headers"),
    *("do_get", "do_post", "get_id", "get_pagination", "get_response", "with_access_token"),
    *("oauth_token_request", "refresh_token_request"),
}
"""What the SDK for Python calls itself: no request of its own."""
ALSO = {
    "sync_ldap_users_from_server": "sync_ldap_users",
    "update_user_by_id": "update_user_by_user_id",
    "modify_user_by_id": "update_user_by_user_id",
}
"""What sends nothing that another method does not."""


def _calls() -> dict[str, set[str]]:
    """Which tests name which method, by the text of the tests."""
    found: dict[str, set[str]] = {}
    for file in FILES:
        tree = ast.parse((Path(__file__).parent / f"{file}.py").read_text())
        tests = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
        for test in tests:
            if not test.name.startswith("test_"):
                continue
            for node in ast.walk(test):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.setdefault(node.value, set()).add(f"{file}.{test.name}")
    return found


@pytest.fixture(scope="module")
def methods() -> dict[str, list[str]]:
    return sdk_methods()


def test_every_method_for_python_is_called_in_a_test_or_refused(
    methods: dict[str, list[str]],
) -> None:
    called = _calls()
    for name in {*methods["python"], *methods["async"]}:
        ours = INNER | {one for one in methods["python"] if one.startswith("modify_")}
        if name in ours or ALSO.get(name, name) in REFUSED:
            continue
        assert ALSO.get(name, name) in called, f"{name} is neither called in a test nor refused"


def test_every_method_for_node_is_called_in_a_test_or_refused(
    methods: dict[str, list[str]],
) -> None:
    called = _calls()
    for name in methods["node"]:
        if name not in REFUSED_IN_NODE:
            assert name in called, f"{name} is neither called in a test nor refused"


def test_every_method_for_browsers_is_called_by_the_application_of_the_tests(
    methods: dict[str, list[str]],
) -> None:
    source = APPLICATION.read_text()
    inner = {"getOrSaveState", "clearState", "signin"}  # popupSignin and getSigninUrl call them
    for name in set(methods["browser"]) - inner:
        assert f"sdk.{name}(" in source, f"{name} is not called"


@pytest.mark.usefixtures("nobody_signed_in")
def test_what_is_refused_for_python_is_an_error_of_every_method(
    site: Site, methods: dict[str, list[str]]
) -> None:
    names = sorted(set(REFUSED) & set(methods["python"]))
    assert len(names) > 100
    outcomes = python_sdk(site.python, [(one, None) for one in names])

    for name, outcome in zip(names, outcomes, strict=True):
        assert "There is no verb" in str(outcome), (name, outcome)


@pytest.mark.usefixtures("nobody_signed_in")
def test_what_is_refused_for_node_is_an_error_of_every_method(
    site: Site, methods: dict[str, list[str]]
) -> None:
    names = sorted(set(REFUSED_IN_NODE) & set(methods["node"]))
    assert len(names) > 50
    thing = {"owner": "acme", "name": "any", "title": "", "content": "", "receivers": ["x"]}
    given = {one: ["any"] if one.startswith("get") else [thing] for one in names}
    given["uploadResource"] = [
        {**thing, "user": "ann", "tag": "", "parent": "", "fullFilePath": "x"}
    ]
    outcomes = node_sdk(site.node, [(one, given[one]) for one in names])

    for name, outcome in zip(names, outcomes, strict=True):
        assert "There is no verb" in str(outcome), (name, outcome)


@pytest.mark.usefixtures("nobody_signed_in")
def test_the_refusal_says_which_verb_there_is_not(site: Site) -> None:
    [webhooks, adapter] = python_sdk(site.python, [("get_webhooks", []), ("get_adapter", ["x"])])
    [node] = node_sdk(site.node, [("getWebhooks", [])])

    assert webhooks["error"] == "There is no verb get-webhooks here."
    assert adapter["error"] == "There is no verb get-adapter here."
    assert (node["status"], node["value"]["status"]) == (404, "error")
    [enforced] = async_python_sdk(site.python, [("enforce", ["p", "", "", "", "", ["a"]])])
    assert "Permissions are not evaluated" in enforced["error"]
