"""What of a request DeepSeek carries."""

from __future__ import annotations

from penstock_inference.adapters.providers.deepseek.settings import DIALECT
from penstock_inference.adapters.providers.openai.table import table_of

TABLE = table_of(DIALECT)
