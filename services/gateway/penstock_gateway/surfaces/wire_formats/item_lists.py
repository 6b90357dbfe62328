"""Lists of items as they are kept: JSON arrays, joined, and with what refers to other items resolved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

_NOTHING = b"[]"


class ItemHead(msgspec.Struct):
    """What an item is known by."""

    type: str | None = None
    id: str = ""
    role: str | None = None


_HEAD = msgspec.json.Decoder(ItemHead, strict=False)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def items_in(array: bytes) -> list[msgspec.Raw]:
    """Return the items of an array, each as it stands."""
    return _ITEMS.decode(array)


def array_of(items: Iterable[msgspec.Raw]) -> bytes:
    """Return items as an array."""
    return b"[%b]" % b",".join(bytes(item) for item in items)


def joined(arrays: Sequence[bytes]) -> bytes:
    """Return arrays made one."""
    return b"[%b]" % b",".join(array[1:-1] for array in arrays if array != _NOTHING)


def size_of(item: msgspec.Raw) -> int:
    """Return an item's bytes."""
    return memoryview(item).nbytes


def id_of(item: msgspec.Raw) -> str:
    """Return an item's id; empty where it has none."""
    return head_of(item).id


def head_of(item: msgspec.Raw) -> ItemHead:
    """Return what an item says of itself; nothing where it is of no known shape."""
    try:
        return _HEAD.decode(item)
    except (msgspec.DecodeError, UnicodeError):
        return ItemHead()


def refers(item: msgspec.Raw) -> str:
    """Return the id of the item that this one stands for; empty where it stands for itself."""
    head = head_of(item)
    # Clients leave the type out where there is nothing but an id.
    return head.id if head.type == "item_reference" or (not head.type and not head.role) else ""
