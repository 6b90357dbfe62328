"""What of an upstream may be asked by requests that pass as they are."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock_common.configuration import MAX_INT32, Duration, Section
from penstock_common.faults import refuse
from penstock_common.llm.types import NANO_USD_PER_USD
from penstock_common.prices import Usd
from penstock_inference.domain.relay import RelayRule, RelayTermsOf

_PATTERN = re.compile(r"(?:/(?:\*|[A-Za-z0-9._~!$&'()+,;=:@-]+))*(?:/\*\*)?")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RawPath(Section):
    """Paths that requests may pass to."""

    path: Annotated[str, Field(min_length=2, max_length=256)]
    """Behind the upstream's ``base_url``, such as `/images/generations`; `*` stands for one segment, `/**` at the end for all
    that follow. Paths with a form of their own here (chat completions, embeddings and such) never pass."""
    methods: Annotated[list[str], Field(min_length=1)] = ["GET", "POST"]
    """Which may pass; `HEAD` goes with `GET`."""
    price: Usd | None = None
    """What one request costs, in USD. Not said: nobody knows, the answer says so, and a metric counts it; 0: nothing."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if _PATTERN.fullmatch(self.path) is None or "/../" in f"{self.path}/" or "/./" in f"{self.path}/":
            refuse([(("path",), "it is a path such as /images/generations, /files/* or /audio/**")])
        refuse(
            (("methods", at), f"'{name}' is none of {', '.join(sorted(_METHODS))}")
            for at, name in enumerate(self.methods)
            if name not in _METHODS
        )
        return self

    def rule(self) -> RelayRule:
        """Return it as the domain takes it."""
        methods = {*self.methods, *(["HEAD"] if "GET" in self.methods else [])}
        price = None if self.price is None else int((self.price * NANO_USD_PER_USD).to_integral_value())
        return RelayRule(self.path, frozenset(methods), price)


class RawSettings(Section):
    """Requests that pass as they are, at `/passthrough/NAME/…`: closed where no path is listed.

    Keys need the scope ``passthrough``. What one tenant keeps at the provider (files, batches) others who may pass there see,
    too.
    """

    paths: list[RawPath] = []
    """Which may pass; the first that fits counts."""
    max_request_bytes: Annotated[int, Field(gt=0, le=MAX_INT32)] = 512 * 1024 * 1024
    """The most that a body may have; it is never in memory as a whole."""
    answer_timeout: Duration = timedelta(seconds=300)
    """How long the head of an answer is waited for, once the whole request is sent."""
    idle_timeout: Duration = timedelta(seconds=120)
    """How long each piece of an answer is waited for."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        refuse(
            ((name,), "it must be longer than nothing")
            for name in ("answer_timeout", "idle_timeout")
            if getattr(self, name) <= timedelta()
        )
        return self

    def terms(self, region: str) -> RelayTermsOf:
        """Return them as the domain takes them."""
        return RelayTermsOf(tuple([each.rule() for each in self.paths]), self.max_request_bytes, region)
