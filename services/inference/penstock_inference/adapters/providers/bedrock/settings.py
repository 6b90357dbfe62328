"""Amazon Bedrock in one region, as the configuration describes it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from penstock_common.addresses import BaseUrl
from penstock_common.configuration import Secret
from penstock_common.faults import refuse
from penstock_inference.adapters.providers.upstream_settings import ModelSettings, UpstreamSettings
from penstock_inference.domain.catalogue import WholeAnswers


class BedrockSettings(UpstreamSettings):
    """One account in one region. A model's ``name`` is its id there, or an ARN."""

    aws_region: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    """The AWS region, such as eu-central-1. Not said: ``region``."""
    base_url: BaseUrl = ""
    """Another address than the region's own, such as a VPC endpoint's."""
    aws_profile: str = ""
    """The profile of ~/.aws/config whose credentials are used. Not said: where AWS' own tools look, in their order: the
    environment, the profile that it names, a container's or an instance's role."""
    aws_access_key_id: Secret = Secret("")
    """With ``aws_secret_access_key``: these credentials, in the place of what the environment has."""
    aws_secret_access_key: Secret = Secret("")
    """See ``aws_access_key_id``."""
    aws_session_token: Secret = Secret("")
    """Of temporary credentials; see ``aws_access_key_id``."""
    whole_answers: Literal["whole", "stream"] | None = None
    """What is asked of the upstream for a caller who does not stream; see the same of ``openai``."""

    @property
    def signing_region(self) -> str:
        """The region that requests are made, and signed, for."""
        return self.aws_region or self.region

    @property
    def address(self) -> str:
        """Where it is asked."""
        return self.base_url or f"https://bedrock-runtime.{self.signing_region}.amazonaws.com"

    @property
    def has_own_credentials(self) -> bool:
        """Whether the configuration says the AWS credentials."""
        return bool(self.aws_access_key_id.get_secret_value())

    @property
    def takes_reasoning(self) -> bool:
        """Whether reasoning goes back to it that callers may lose."""
        return True

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        has_key = bool(self.api_key.get_secret_value())
        if not self.signing_region and not (self.base_url and has_key):
            refuse([(("aws_region",), f"the upstream '{self.name}' needs one, such as us-east-1")])
        if self.has_own_credentials is not bool(self.aws_secret_access_key.get_secret_value()):
            refuse([(("aws_secret_access_key",), "an access key has an id and a secret; one of them is missing")])
        if has_key and (self.has_own_credentials or self.aws_profile):
            refuse([(("api_key",), "there are AWS credentials, too; one of the two says what Bedrock is asked with")])
        if self.has_own_credentials and self.aws_profile:
            refuse([(("aws_profile",), "there is 'aws_access_key_id', too; one of the two says whose credentials")])
        return self

    def makings(self) -> tuple[object, ...]:
        """Return what it is made of; see the base. Where it is may follow from ``region``."""
        return (*super().makings(), self.signing_region)

    def asks_whole(self, model: ModelSettings) -> WholeAnswers:
        """Return whether the model is asked for a whole answer where the caller does not stream."""
        if self.whole_answers is None:
            return WholeAnswers.NEVER if "reasoning" in model.capabilities else WholeAnswers.ALONE
        return WholeAnswers.ALWAYS if self.whole_answers == "whole" else WholeAnswers.NEVER
