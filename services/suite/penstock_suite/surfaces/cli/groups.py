"""Groups of commands that are there for the asking: what stands beside their names, so that help imports none of them."""

from __future__ import annotations

ADMINISTERED = {
    "keys": "API keys that are kept in the database.",
    "tenants": "Tenants: those of the configuration, and those created beside them.",
    "teams": "Teams of tenants: whose limits and spend are counted together.",
    "users": "Users of tenants, and what their keys may at most.",
    "cache": "Answers that were kept: what is there and why, putting it in, taking it out.",
    "feedback": "What people made of answers: what was said, and what it comes to.",
    "prompts": "Prompts: versions of templates, and the labels that point to them.",
    "knowledge": "Knowledge bases and their documents.",
    "search": "Search a knowledge base.",
    "experiments": "Experiments: what was found of the variants; ending and promoting.",
    "budgets": "Budgets: how much may be spent, and where that stands.",
    "jobs": "Jobs: requests that were accepted and are answered later.",
    "limits": "Limits: which bind a request, and where they stand.",
    "index": "Versions of a knowledge base's index.",
    "ledger": "The ledger: corrections, and the counters of spend beside it.",
    "webhooks": "Webhooks of tenants, and what was sent to them.",
    "reviews": "Reviews: what was flagged, and what was decided of it.",
    "prices": "What models cost, and cost before.",
}
"""Groups of commands that ask an administration, by their modules' names, and what stands beside the name."""
COMPOSED = {
    "ingest": "Take files and folders into a knowledge base.",
    "usage": "What was used and what it cost, by whom and by when.",
    "estimate": "Project what a load would cost, from the ledger or from what is assumed.",
}
"""Those that need more than that."""
