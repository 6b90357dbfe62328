"""How chats use knowledge bases, as the contract's messages, and back."""

from __future__ import annotations

from penstock.gateway.v1 import knowledge_use_pb2 as pb
from penstock_common.rpc.fields import read, write
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse


def use_from(message: pb.KnowledgeUse) -> KnowledgeUse:
    """Return what a request says of knowledge bases.

    Raises:
        InvalidRequest: if an enum has a value that this version does not know.
    """
    return read(message, KnowledgeUse)


def told_message(told: KnowledgeTold, into: pb.KnowledgeTold) -> None:
    """Write what a caller is told."""
    write(told, into)
