"""Providers by the verbs of Casdoor.

One that people can sign in with here is one of ours; of any other (mail, storage, payment …) everything but
its secrets is kept and given back. `admin` owns there what serves every organization; here it stands for the
caller's own.
"""

from typing import Any

from sqlalchemy import Connection

from iam import audit
from iam.delivery.provider_addresses import check_options
from iam.directory import providers
from iam.directory.legacy import read_all_members, read_members
from iam.directory.organizations import list_organizations
from iam.directory.providers import NewProvider, Provider, ProviderMissing, ProviderSecretNeeded
from iam.hanzo.asking import asked, choose, given_members, named
from iam.hanzo.call import Call, split_id
from iam.hanzo.envelope import Reply, affected
from iam.hanzo.errors import Refused
from iam.hanzo.kept import change_kept
from iam.hanzo.kept_rows import (
    add_row,
    delete_row,
    find_row,
    list_rows,
    organization_of,
    update_row,
)
from iam.hanzo.objects import MASK
from iam.hanzo.provider_shapes import as_provider, is_spoken, provider_members
from iam.hanzo.reach import administers_installation, require_administrator
from iam.hanzo.verbs import Verb, get, post
from iam.kernel.ids import PROVIDER, make_id
from iam.sessions import rules
from iam.signin.provider_secrets import seal_secret

_ALL = 1_000_000
_LONGEST_SECRET = 1024


def get_providers(call: Call) -> Reply:
    """`GET get-providers?owner`: those of one organization."""
    return _listed(call, organization_of(call, call.query("owner")))


def get_global_providers(call: Call) -> Reply:
    """`GET get-global-providers`: those of every organization that the caller administers."""
    return _listed(call, None if administers_installation(call) else call.home)


def _listed(call: Call, organization: str | None) -> Reply:
    require_administrator(call, organization)
    wanted = asked(call)
    views, count = choose(call.engine.database.read(lambda c: views_of(c, organization)), wanted)
    return Reply(data=views, data2=count)


def views_of(connection: Connection, organization: str | None) -> list[dict[str, Any]]:
    """All providers of an organization, or of all, as they are answered."""
    if organization is not None:
        owners = [organization]
    else:
        owners = [one.name for one in list_organizations(connection, limit=_ALL)]
    ours: dict[tuple[str, str], dict[str, Any]] = {}
    for owner in owners:
        found = providers.list_providers(connection, owner)
        kept = read_all_members(connection, "provider", owner, [one.name for one in found])
        for one in found:
            ours[owner, one.name] = provider_members(one, kept.get(one.name, {}))
    others = list_rows(connection, "provider", organization)
    return [*ours.values(), *(one for one in others if (one["owner"], one["name"]) not in ours)]


def get_provider(call: Call) -> Reply:
    """`GET get-provider?id=owner/name`: null where there is none."""
    owner, name = split_id(call.query("id"), 2)
    organization = organization_of(call, owner)
    require_administrator(call, organization)

    def work(connection: Connection) -> dict[str, Any] | None:
        found = _find(connection, organization, name)
        if found is None:
            return find_row(connection, "provider", organization, name)
        kept = read_members(connection, "provider", organization, name)
        return provider_members(found, kept)

    return Reply(data=call.engine.database.read(work))


def add_provider(call: Call) -> Reply:
    """`POST add-provider`: its secret is kept encrypted, if people can sign in with it; else not at all."""
    organization, name = _meant(call)
    if not is_spoken(call.body):
        if "clientSecret" in call.body and call.text("category") == "OAuth":
            raise Refused("This type of provider is not spoken here.")

        def keep(connection: Connection) -> None:
            if _find(connection, organization, name) is not None:
                raise Refused("name is taken.")
            add_row(connection, call, "provider", organization, name)

        call.engine.database.write(keep)
        return affected(True)
    new = as_provider({**call.body, "name": name}, None)
    _check(call, new)
    provider_id = make_id(PROVIDER, call.now, call.engine.random)
    sealed = _sealed(call, provider_id, call.body)

    def work(connection: Connection) -> None:
        rules.hold_rules(connection, organization)
        made = providers.create_provider(
            connection,
            organization,
            name,
            new,
            provider_id=provider_id,
            sealed_secret=sealed,
            now=call.now,
            random=call.engine.random,
        )
        change_kept(connection, "provider", organization, name, call.body, _shown(made))
        _note(connection, call, "provider.created", organization, {"provider": name})

    call.engine.database.write(work)
    return affected(True)


def update_provider(call: Call) -> Reply:
    """`POST update-provider?id&columns`: what the body does not mention stays.
    A `clientSecret` that is not the mask takes the place of the old one; where the addresses name another
    server, it is needed."""
    organization, name = _meant(call)
    given = given_members(call)

    def work(connection: Connection) -> bool:
        rules.hold_rules(connection, organization)
        before = _find(connection, organization, name)
        if before is None:
            return update_row(connection, "provider", organization, name, given)
        shown = provider_members(before, {})
        new = as_provider({**shown, **given}, before)
        _check(call, new)
        sealed = _sealed(call, before.id, given)
        try:
            providers.update_provider(
                connection, organization, name, new, sealed_secret=sealed, now=call.now
            )
        except ProviderSecretNeeded as error:
            words = "Give clientSecret as well: it would be shown to another server than before."
            raise Refused(words) from error
        change_kept(connection, "provider", organization, name, given, shown)
        changed = sorted(one for one in given if given[one] != shown.get(one))
        data = {"provider": name, "changed": changed[:50]}
        _note(connection, call, "provider.updated", organization, data)
        return True

    return affected(call.engine.database.write(work))


def delete_provider(call: Call) -> Reply:
    """`POST delete-provider`: nobody signs in by it any more. Whom it let in stays in."""
    organization, name = _meant(call)

    def work(connection: Connection) -> bool:
        rules.hold_rules(connection, organization)
        if _find(connection, organization, name) is None:
            return delete_row(connection, "provider", organization, name)
        providers.delete_provider(connection, organization, name)
        _note(connection, call, "provider.deleted", organization, {"provider": name})
        return True

    return affected(call.engine.database.write(work))


def _meant(call: Call) -> tuple[str, str]:
    owner, name = named(call)
    organization = organization_of(call, owner)
    require_administrator(call, organization)
    return organization, name


def _find(connection: Connection, organization: str, name: str) -> Provider | None:
    try:
        return providers.find_provider(connection, organization, name)
    except ProviderMissing:
        return None


def _shown(provider: Provider) -> dict[str, Any]:
    return provider_members(provider, {})


def _check(call: Call, new: NewProvider) -> None:
    private = call.engine.settings.delivery_allow_private
    check_options(new.kind, new.options, allow_private=private)


def _sealed(call: Call, provider_id: str, given: dict[str, Any] | Any) -> str | None:
    secret = given.get("clientSecret")
    if secret in (None, "", MASK):
        return None
    if (
        not isinstance(secret, str)
        or len(secret) > _LONGEST_SECRET
        or not (secret.isascii() and secret.isprintable())
    ):
        raise Refused("clientSecret cannot be that.")
    return seal_secret(call.engine.cipher, provider_id, secret, call.engine.random)


def _note(
    connection: Connection, call: Call, type_: str, organization: str, data: dict[str, Any]
) -> None:
    audit.append(connection, [call.event(type_, organization=organization, data=data)])


VERBS: tuple[Verb, ...] = (
    get("get-providers", get_providers),
    get("get-global-providers", get_global_providers),
    get("get-provider", get_provider),
    post("add-provider", add_provider),
    post("update-provider", update_provider),
    post("delete-provider", delete_provider),
)
