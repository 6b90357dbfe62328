"""Server reflection: what a listener serves, told to grpcurl, ghz and their like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from penstock_common.rpc.open_services import OpenServices, reflecting

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

_V1ALPHA = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
_V1 = _V1ALPHA.replace("v1alpha", "v1")
_METHOD = "ServerReflectionInfo"


def serve_reflection(server: grpc.aio.Server, names: Sequence[str]) -> None:
    """Have ``server`` describe the services ``names``, by both versions of the protocol.

    Version 1 differs from v1alpha in its package alone
    (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md), so that one servicer answers both. Nothing is
    described but these services and what their messages are made of.
    """
    served = (*names, _V1, _V1ALPHA)
    servicer = ReflectionServicer(served, pool=_Described(served))
    open_services = OpenServices(server)
    for name in (_V1, _V1ALPHA):
        open_services.serve(name, **{_METHOD: reflecting(servicer)})


class _Described:
    """A descriptor pool of the served services alone, which finds methods and the values of enums by their full names, too.

    protobuf's own finds neither (``Service.Method``, ``Enum.VALUE``), and tools ask for both.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        self._added: set[str] = set()
        everything = descriptor_pool.Default()
        for name in services:
            if name == _V1:
                self._pool.AddSerializedFile(_version_1())
                continue
            with suppress(KeyError):  # a service that no file describes is listed, and nothing more
                self._add(everything.FindFileContainingSymbol(name))
        # What the details of a failed call are made of.
        self._add(error_details_pb2.DESCRIPTOR)
        self.FindFileByName = self._pool.FindFileByName
        self.FindMessageTypeByName = self._pool.FindMessageTypeByName
        self.FindExtensionByNumber = self._pool.FindExtensionByNumber
        self.FindAllExtensions = self._pool.FindAllExtensions

    def _add(self, file: FileDescriptor) -> None:
        if file.name in self._added:
            return
        self._added.add(file.name)
        for dependency in file.dependencies:
            self._add(dependency)
        self._pool.AddSerializedFile(file.serialized_pb)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - protobuf's name
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            owner, _, name = symbol.rpartition(".")
            file = self._pool.FindFileContainingSymbol(owner)
            if not self._has(owner, name):
                raise
            return file

    def _has(self, owner: str, name: str) -> bool:
        """Whether ``owner`` is a service with the method ``name``, or an enum with that value."""
        try:
            return name in self._pool.FindServiceByName(owner).methods_by_name
        except KeyError:
            return name in self._pool.FindEnumTypeByName(owner).values_by_name


@cache
def _version_1() -> bytes:
    """Version 1's own file, which no package on the registry carries: v1alpha's under its name."""
    alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    renamed = text_format.MessageToString(alpha).replace("v1alpha", "v1")
    return text_format.Parse(renamed, descriptor_pb2.FileDescriptorProto()).SerializeToString()
