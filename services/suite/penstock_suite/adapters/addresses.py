"""Addresses to listen on: whether they are free, and which they are when the configuration leaves it open."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from penstock_common.addresses import host_and_port
from penstock_suite.domain.failure import Misconfigured, SuiteFailure

LOOPBACK = "127.0.0.1"
_ANY_HOST = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port; renders as ``host:port``."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def from_here(self) -> Address:
        """The address by which this machine reaches it."""
        return Address(_ANY_HOST.get(self.host, self.host), self.port)


def parse_address(text: str, setting: str) -> Address:
    """Return the address that ``host:port`` says.

    Raises:
        Misconfigured: if it is written in another way.
    """
    try:
        return Address(*host_and_port(text))
    except ValueError as error:
        raise Misconfigured(f"'{setting}': {error}, not {text!r}") from None


def free_addresses(*wanted: tuple[Address, str]) -> list[Address]:
    """Return each address, or a free port of its host where it leaves the port open (0).

    All are held until the last is found, so that no port comes twice. Each
    comes with the setting that names it.

    Raises:
        SuiteFailure: if one is taken, or no address of this machine.
    """
    with ExitStack() as held:
        return [_hold(address, setting, held) for address, setting in wanted]


@contextmanager
def kept_for_sharing(address: Address) -> Generator[None]:
    """Keep the port from others while those who share it (SO_REUSEPORT) come and go; nobody is answered here.

    Raises:
        SuiteFailure: if it is taken.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with _claimed(address), socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind((address.host, address.port))
        except OSError as error:
            raise SuiteFailure(_sentence(address, "listen.grpc", error)) from None
        yield


@contextmanager
def _claimed(address: Address) -> Generator[None]:
    """Be the one stack on this machine that shares the port among its processes.

    The kernel would let any other of this user's share it too, and give each a part of the callers. A name in
    Linux's abstract namespace is one socket's, and gone with its process, however that ends.

    Raises:
        SuiteFailure: if another stack is.
    """
    with socket.socket(socket.AF_UNIX) as claim:
        if sys.platform == "linux":
            try:
                claim.bind(f"\0penstock shares {address}")
            except OSError as error:
                raise SuiteFailure(_sentence(address, "listen.grpc", error)) from None
        yield


def _hold(wanted: Address, setting: str, held: ExitStack) -> Address:
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    listener = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
    # With an open port, reuse would allow the kernel to give one that is held already.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(wanted.port != 0))
    try:
        listener.bind((wanted.host, wanted.port))
    except OSError as error:
        raise SuiteFailure(_sentence(wanted, setting, error)) from None
    return Address(wanted.host, listener.getsockname()[1])


def _sentence(wanted: Address, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{wanted} is taken: stop what listens there, or set '{setting}' to another address"
    if error.errno == errno.EACCES:
        return f"{wanted} needs more rights than you have: set '{setting}' to a port of 1024 or more"
    return f"{wanted} is no address of this machine ({error.strerror}): set '{setting}' to another one"
