"""What the public KnowledgeService is asked has a place for all that the embedding service can be asked."""

from __future__ import annotations

import pytest

from penstock.gateway.v1 import knowledge_service_pb2 as pb
from penstock_common.contract import knowledge_calls as calls

# By the contract's name where the public one is another; these two are written field by field.
_OTHER_NAMES = {
    "UpdateDocument": "ChangeDocument",
    "GetKnowledgeBase": "GetBase",
    "ListKnowledgeBases": "ListBases",
    "DeleteKnowledgeBase": "DeleteBase",
    "ChunkDocument": "Chunk",
}
_FOR_THE_AUDIT_LOG = {"SwitchIndex": {"reason"}}
_BY_HAND = {"CreateKnowledgeBase", "UpdateKnowledgeBase"}
METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["KnowledgeService"].methods]


@pytest.mark.parametrize("name", sorted(set(METHODS) - _BY_HAND))
def test_public_request_is_the_contracts_own(name):
    asked = getattr(calls, f"{_OTHER_NAMES.get(name, name)}Request").__struct_fields__
    public = {field.name for field in getattr(pb, f"{name}Request").DESCRIPTOR.fields}
    assert set(asked) == public - _FOR_THE_AUDIT_LOG.get(name, set())


@pytest.mark.parametrize("name", METHODS)
def test_public_response_has_all_that_is_told(name):
    known = {"CreateKnowledgeBase": "PutBase", "UpdateKnowledgeBase": "PutBase", **_OTHER_NAMES}.get(name, name)
    told = getattr(calls, f"{known}Response").__struct_fields__
    assert set(told) == {field.name for field in getattr(pb, f"{name}Response").DESCRIPTOR.fields}
