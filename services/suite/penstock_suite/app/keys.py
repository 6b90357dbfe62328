"""The secrets of a local stack that its configuration does not name."""

from __future__ import annotations

from penstock_gateway.domain.access.identity import new_key
from penstock_suite.adapters.state_files import ensure_key_file, random_secret
from penstock_suite.app.plan import StackPlan


def ensure_keys(plan: StackPlan) -> str:
    """Make the secrets that the configuration does not name; return the demo key, empty if nobody has it."""
    state = plan.state
    ensure_key_file(state.key_pepper, random_secret)
    ensure_key_file(state.cache_key, random_secret)
    if plan.settings.embedding is not None:
        ensure_key_file(state.knowledge_key, random_secret)
    ensure_key_file(state.edge_token, random_secret)
    ensure_key_file(state.operator_key, lambda: new_key()[0])
    return ensure_key_file(state.demo_key, lambda: new_key()[0]) if plan.has_demo_key else ""
