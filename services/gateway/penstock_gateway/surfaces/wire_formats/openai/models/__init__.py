"""``GET /v1/models``."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.anthropic import models as anthropic
from penstock_gateway.surfaces.wire_formats.format import ModelsFormat
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.openai.models.render import render_model, render_model_list

FORMAT = ModelsFormat(
    family=OPENAI,
    path="/v1/models",
    render_list=render_model_list,
    render_one=render_model,
    others={"anthropic-version": anthropic.FORMAT},
)
