"""The pages of administrators: who is signed in where, and the power to end it.

Owns: `/console/…`.
Does not own: who is an administrator (`web.caller`), how sessions end (`sessions`).
Hands to: `account`, by redirect, whoever has to sign in first.
"""

from starlette.routing import BaseRoute, Route

from iam.console import (
    applications_change,
    brand_change,
    organizations_page,
    providers_change,
    users_change,
    users_import,
    webhooks_change,
)
from iam.console.applications_page import show_application, show_applications
from iam.console.audit_page import export, show_audit
from iam.console.browsers_page import show_browsers
from iam.console.bulk_page import end_chosen, go_on, preview, show_end
from iam.console.deeds import extend_session, lock_session, redeliver
from iam.console.ending import end_one, end_record
from iam.console.keys_page import change_keys, show_keys
from iam.console.overview_page import show_overview
from iam.console.policies_page import change_layer, show_layer, show_policies
from iam.console.providers_page import show_provider, show_providers
from iam.console.records_page import show_records
from iam.console.session_page import show_session
from iam.console.sessions_page import show_list
from iam.console.users_page import show_user, show_users
from iam.console.webhooks_page import show_webhook, show_webhooks


def routes() -> list[BaseRoute]:
    """The routes of this door."""
    return [
        Route("/console", show_overview),
        Route("/console/records", show_records),
        Route("/console/browsers", show_browsers),
        Route("/console/sessions", show_list),
        Route("/console/sessions/end", end_one, methods=["POST"]),
        Route("/console/sessions/end-record", end_record, methods=["POST"]),
        Route("/console/sessions/{id}", show_session),
        Route("/console/sessions/{id}/extend", extend_session, methods=["POST"]),
        Route("/console/sessions/{id}/lock", lock_session, methods=["POST"]),
        Route("/console/deliveries/{id}/redeliver", redeliver, methods=["POST"]),
        Route("/console/ends", preview, methods=["POST"]),
        Route("/console/ends/chosen", end_chosen, methods=["POST"]),
        Route("/console/ends/{id}", show_end),
        Route("/console/ends/{id}", go_on, methods=["POST"]),
        Route("/console/users", show_users),
        Route("/console/users/new", users_change.show_new),
        Route("/console/users/new", users_change.create, methods=["POST"]),
        Route("/console/users/import", users_import.show_import),
        Route("/console/users/import", users_import.import_users, methods=["POST"]),
        Route("/console/users/{organization}/{name}", show_user),
        Route("/console/users/{organization}/{name}", users_change.change, methods=["POST"]),
        Route("/console/applications", show_applications),
        Route("/console/applications/new", applications_change.show_new),
        Route("/console/applications/new", applications_change.create, methods=["POST"]),
        Route("/console/applications/{organization}/{name}", show_application),
        Route(
            "/console/applications/{organization}/{name}",
            applications_change.change,
            methods=["POST"],
        ),
        Route("/console/providers", show_providers),
        Route("/console/providers/new", providers_change.show_new),
        Route("/console/providers/new", providers_change.create, methods=["POST"]),
        Route("/console/providers/{organization}/{name}", show_provider),
        Route(
            "/console/providers/{organization}/{name}", providers_change.change, methods=["POST"]
        ),
        Route("/console/organizations", organizations_page.show_organizations),
        Route("/console/organizations/new", organizations_page.show_new),
        Route("/console/organizations/new", organizations_page.create, methods=["POST"]),
        Route("/console/organizations/{name}", organizations_page.show_organization),
        Route("/console/organizations/{name}", organizations_page.change, methods=["POST"]),
        Route("/console/organizations/{name}/brand", brand_change.change_colour, methods=["POST"]),
        Route("/console/organizations/{name}/logo", brand_change.change_logo, methods=["POST"]),
        Route("/console/webhooks", show_webhooks),
        Route("/console/webhooks/new", webhooks_change.show_new),
        Route("/console/webhooks/new", webhooks_change.create, methods=["POST"]),
        Route("/console/webhooks/{id}", show_webhook),
        Route("/console/webhooks/{id}", webhooks_change.change, methods=["POST"]),
        Route("/console/policies", show_policies),
        Route("/console/policies/edit", show_layer),
        Route("/console/policies/edit", change_layer, methods=["POST"]),
        Route("/console/keys", show_keys),
        Route("/console/keys", change_keys, methods=["POST"]),
        Route("/console/audit", show_audit),
        Route("/console/audit/export", export),
    ]


__all__ = ["routes"]
