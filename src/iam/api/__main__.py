"""`python -m iam.api`: the OpenAPI document, as docs/reference/openapi.json keeps it."""

import json
import sys

from iam.api.app import openapi_document

sys.stdout.write(json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n")
