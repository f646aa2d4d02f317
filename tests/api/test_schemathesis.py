"""The document against the server: whatever can be generated from it, good and bad.

Nothing may crash, no answer may be of a status, type or shape that the document does not tell.
"""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from sqlalchemy import delete

from iam.api import openapi_document
from iam.api.schemas import TIME_ZONE
from iam.db.tables import policy
from iam.directory.preferences import time_zones
from tests.support.tenants import Tenant, make_tenant
from tests.support.world import ISSUER, World, make_world

schemathesis.openapi.format(TIME_ZONE, st.sampled_from(time_zones()))
_document = schemathesis.openapi.from_dict(openapi_document())
# That free JSON may hold no NUL is said in words: no schema can say it of what is nested.
_document.config.generation.update(allow_x00=False)
# They do not end by themselves; tests/delivery/test_stream.py and tests/api/test_bulk_ends.py read them.
schema = _document.exclude(operation_id=["streamEvents", "followBulkEnd"])

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
    allow_header_conformance,
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Tenant]]:
    """One server for all that is generated: a crash may need what an earlier request left."""
    database = tmp_path_factory.mktemp("schemathesis") / "iam.db"
    with make_world(f"sqlite:///{database}") as world:
        yield world, make_tenant(world, "acme")


@schema.parametrize()
@hypothesis.settings(max_examples=8)
def test_every_answer_is_one_that_the_document_tells(
    case: schemathesis.Case[Any], stage: tuple[World, Tenant]
) -> None:
    world, tenant = stage
    by_client = case.operation.definition.raw["operationId"] == "startSession"
    if case.method not in ("GET", "OPTIONS") or not _ADMIN:
        # It may end the very session that it is made with, and a limit that was set may let nobody in.
        world.engine.database.write(lambda connection: connection.execute(delete(policy)))
        _ADMIN.update(world.admin)
    case.headers.update(tenant.client if by_client else _ADMIN)
    kwargs: dict[str, Any] = case.as_transport_kwargs(base_url=ISSUER)
    sent = requests.Request(**{k: v for k, v in kwargs.items() if k in _OF_A_REQUEST}).prepare()
    answer = world.request(
        str(sent.method), str(sent.url), content=sent.body, headers=list(sent.headers.items())
    )
    case.validate_response(answer, checks=CHECKS)


_ADMIN: dict[str, str] = {}
_OF_A_REQUEST = {"method", "url", "headers", "params", "json", "data", "files", "cookies"}
