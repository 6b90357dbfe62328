"""Every public method has a line in the table of policies, and nothing else is let in."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pool

import penstock.gateway.v1
from penstock_common.errors import ScopeMissing
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.access.policy import POLICIES, Policy, policy_of

OF_TENANTS = frozenset({KeyScope.INFERENCE, KeyScope.READ, KeyScope.ADMIN, KeyScope.REVIEW})
ADMINISTRATIVE = (
    "AdminService",
    "PromptService",
    "StatusService",
    "ExperimentService",
    "LedgerService",
    "BudgetService",
    "WebhookService",
)


def methods():
    """Return every method of the package, as a descriptor, by its path."""
    found = {}
    for module in pkgutil.iter_modules(penstock.gateway.v1.__path__):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"penstock.gateway.v1.{module.name}").DESCRIPTOR
            for service in descriptor_pool.Default().FindFileByName(descriptor.name).services_by_name.values():
                found.update({f"/{service.full_name}/{method.name}": method for method in service.methods})
    return found


@pytest.mark.parametrize("path", methods())
def test_public_method_has_a_policy(path):
    assert policy_of(path).sufficient


def test_inference_opens_nothing_administrative():
    open_to_inference = {path for path, policy in POLICIES.items() if KeyScope.INFERENCE in policy.sufficient}
    assert not [path for path in open_to_inference if path.split("/")[1].endswith(ADMINISTRATIVE)]
    assert "/penstock.gateway.v1.ChatService/Chat" in open_to_inference


def test_methods_that_look_are_those_that_change_nothing():
    services = ("AdminService", "PromptService", "KnowledgeService")
    paths = [path for path in methods() if any(service in path for service in services)]
    for path in paths:
        name = path.rpartition("/")[2]
        # What a process counts is of all tenants, and so are the upstreams; what the cache holds is what was said.
        looks = ("Get", "List", "Diff", "Render", "Watch", "Chunk")
        is_look = name.startswith(looks) and "Cache" not in name and name != "ListUpstreams"
        assert (KeyScope.READ in policy_of(path).sufficient) is is_look, path


def test_every_typed_method_is_reachable_as_rest():
    for path, method in methods().items():
        assert method.GetOptions().HasExtension(annotations_pb2.http), path


@pytest.mark.parametrize("method", ["", "/penstock.gateway.v1.AdminService/DropEverything", "GET /v1/assistants"])
def test_method_without_a_policy_is_denied(method):
    with pytest.raises(ScopeMissing):
        policy_of(method)


def test_policy_is_met_by_any_of_its_scopes():
    policy = Policy.any_of(KeyScope.READ, KeyScope.ADMIN)
    policy.require(frozenset({KeyScope.ADMIN, KeyScope.INFERENCE}))
    with pytest.raises(ScopeMissing, match="'read'") as refused:
        policy.require(frozenset({KeyScope.INFERENCE, KeyScope.OPERATOR}))
    assert refused.value.scope == "read"
