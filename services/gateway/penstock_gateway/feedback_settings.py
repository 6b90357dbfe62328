"""What the gateway reads of the configuration about feedback."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock_common.configuration import Duration, Section
from penstock_common.faults import refuse
from penstock_gateway.domain.feedback.giving import GivingRule
from penstock_gateway.domain.feedback.quality import QualityRule


class FeedbackSettings(Section):
    """What people may say of answers, and what follows from it."""

    per_minute: Annotated[int, Field(gt=0)] = GivingRule().per_minute
    """How often one key may give feedback in any minute, over all processes."""
    per_answer: Annotated[int, Field(gt=0)] = GivingRule().per_answer
    """How much feedback is kept of one answer, whoever gives it."""
    max_correction_characters: Annotated[int, Field(gt=0, le=262_144)] = GivingRule().max_correction_characters
    """Of what an answer should have been."""
    patience: Duration = GivingRule().patience
    """How long an answer is waited for that the ledger does not know yet; then there is no such answer."""
    disputes_cache: bool = GivingRule().disputes_cache
    """Whether a thumb down on an answer from the cache, given by meaning, removes the entry and has the guard learn; not for a
    reason of style or time."""
    quality_every: Duration = timedelta(minutes=1)
    """How often routers are told what feedback says of candidates: in this process, else through ``redis.state``."""
    quality_half_life: Duration = QualityRule().half_life
    """After so long a judgement counts half."""
    tenant_weight: Annotated[float, Field(gt=0)] = QualityRule().tenant_weight
    """So many judgements of today are the most that one tenant weighs, of a candidate and a task."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        longer = ("quality_every", "quality_half_life")
        refuse(((name,), "it must be longer than nothing") for name in longer if getattr(self, name) <= timedelta())
        return self

    @property
    def giving(self) -> GivingRule:
        """The bounds of what one may give."""
        return GivingRule(
            per_minute=self.per_minute,
            per_answer=self.per_answer,
            max_correction_characters=self.max_correction_characters,
            patience=self.patience,
            disputes_cache=self.disputes_cache,
        )

    @property
    def quality(self) -> QualityRule:
        """How judgements become a candidate's quality."""
        return QualityRule(self.quality_half_life, self.tenant_weight)
