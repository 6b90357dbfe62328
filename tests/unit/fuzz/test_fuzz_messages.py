"""Examples of what methods take: what is wrong about one is looked for from there."""

import importlib
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format, message_factory

FUZZ = str(Path(__file__).parents[3] / "fuzz")


@pytest.fixture(scope="module")
def methods():
    sys.path.insert(0, FUZZ)
    try:
        yield importlib.import_module("messages").methods()
    finally:
        sys.path.remove(FUZZ)


def test_an_example_is_what_its_method_takes(methods):
    examples = [method for method in methods if method.example]
    assert len(examples) > 40
    for method in examples:
        message = message_factory.GetMessageClass(method.takes)()
        json_format.ParseDict(method.example, message)
        assert message.ByteSize(), method.path


def test_each_method_of_documents_has_an_example(methods):
    of_documents = [method for method in methods if "KnowledgeService" in method.path]
    assert len(of_documents) > 15
    assert [method.path for method in of_documents if not method.example] == []
