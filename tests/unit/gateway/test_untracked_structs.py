"""What the garbage collector does not look at must lead nowhere: a circle through it is never freed."""

import importlib
import pkgutil
import typing
from collections.abc import Callable

import msgspec
import pytest

import penstock_cache
import penstock_common
import penstock_embedding
import penstock_gateway
import penstock_inference
import penstock_router

PACKAGES = (penstock_cache, penstock_common, penstock_embedding, penstock_gateway, penstock_inference, penstock_router)


def modules():
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in found.name for part in (".testing", ".migrations", ".environment", "__main__")):
                yield found.name


def untracked():
    for name in modules():
        for each in vars(importlib.import_module(name)).values():
            ours = isinstance(each, type) and issubclass(each, msgspec.Struct) and each.__module__ == name
            if ours and not each.__struct_config__.gc:
                yield each


def parts(annotation):
    yield typing.get_origin(annotation) or annotation
    for argument in typing.get_args(annotation):
        if not isinstance(argument, list):
            yield from parts(argument)


def leads_anywhere(annotation):
    return any(
        part is Callable or (isinstance(part, type) and issubclass(part, BaseException)) for part in parts(annotation)
    )


def test_no_untracked_struct_holds_a_function_or_an_error():
    found = list(untracked())
    assert len(found) > 20
    wrong = [
        f"{each.__qualname__}.{name}"
        for each in found
        for name, annotation in typing.get_type_hints(each).items()
        if leads_anywhere(annotation)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("annotation", "leads"),
    [(Callable[[], str], True), (BaseException | None, True), (dict[str, int], False), (list[ValueError], True)],
    ids=["function", "error", "numbers", "errors"],
)
def test_what_leads_anywhere(annotation, leads):
    assert leads_anywhere(annotation) is leads
