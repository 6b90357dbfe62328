"""``/v1/organization/usage/…`` and ``/v1/organization/costs``: what was used, in OpenAI's buckets of time.

A team is what OpenAI calls a project.
"""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.format import UsageFormat
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.openai.organization.reports import completions, costs, embeddings

FORMAT = UsageFormat(
    family=OPENAI,
    path="/v1/organization/usage/completions",
    actions={
        "/v1/organization/usage/completions": completions,
        "/v1/organization/usage/embeddings": embeddings,
        "/v1/organization/costs": costs,
    },
)
