"""``POST /v1/moderations``."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.format import ModerationFormat
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.openai.moderations.parse import parse_moderation_request
from penstock_gateway.surfaces.wire_formats.openai.moderations.render import render_moderation

FORMAT = ModerationFormat(
    family=OPENAI, path="/v1/moderations", parse=parse_moderation_request, render=render_moderation
)
