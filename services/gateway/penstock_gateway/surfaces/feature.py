"""What a request says that it is for, by a header: formats of others have no field for it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import RequestContext
from penstock_gateway.domain.life.validation import validate_feature

FEATURE_HEADER = "x-penstock-feature"


def featured(context: RequestContext, headers: Mapping[str, str]) -> RequestContext:
    """Return the context with the feature that the header, which is there, says; the body's own word counts more.

    Raises:
        InvalidRequest: if it is none that the typed API would take, or no UTF-8.
    """
    if context.feature:
        return context
    try:
        # HTTP's fields are bytes, which the reader takes one by one.
        feature = headers[FEATURE_HEADER].strip().encode("latin-1").decode()
    except UnicodeError:
        raise InvalidRequest(f"{FEATURE_HEADER} must be UTF-8.", field=FEATURE_HEADER) from None
    validate_feature(FEATURE_HEADER, feature)
    return msgspec.structs.replace(context, feature=feature)
