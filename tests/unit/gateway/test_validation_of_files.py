"""No caller has a provider read what lies in the operator's storage."""

import pytest

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import File, GenerationInput, Message, Opaque, Role, Text
from penstock_gateway.domain.life.validation import validate_input

PART = "input.messages[0].parts[0]"


def refused(part, role=Role.USER):
    with pytest.raises(InvalidRequest) as caught:
        validate_input(GenerationInput(model="m", messages=(Message(role=role, parts=(part,)),)))
    return caught.value.field


@pytest.mark.parametrize(
    "json",
    [
        '{"fileData":{"fileUri":"gs://private/hr.pdf"}}',
        '{"\\u0066ileData":{}}',
        '{"document":{"source":{"s3Location":{"uri":"s3://private"}}}}',
        '{"a":[{"b":[{"file_uri":"gs://private"}]}]}',
    ],
)
def test_a_block_of_the_providers_own_names_no_file_in_a_storage(json):
    assert refused(Opaque(format="gemini", json=json), Role.ASSISTANT) == f"{PART}.opaque.json"


def test_a_block_of_the_providers_own_stands_in_an_assistants_turn_alone():
    block = Opaque(format="gemini", json='{"executableCode":{}}')
    assert refused(block) == f"{PART}.opaque"
    validate_input(GenerationInput(model="m", messages=(Message(role=Role.ASSISTANT, parts=(block,)),)))


@pytest.mark.parametrize("name", ["gs://private/hr.pdf", "s3://b/k", "https://a", "../x", "a b", "x" * 257])
def test_a_files_id_is_no_address(name):
    assert refused(File(id=name)) == f"{PART}.file.id"
    validate_input(GenerationInput(model="m", messages=(Message(role=Role.USER, parts=(File(id="files/a-1"),)),)))


@pytest.mark.parametrize("ttl", ["99y", "\0", "60m"])
def test_the_life_of_a_prefix_is_one_of_two(ttl):
    assert refused(Text(text="Hi", cache_ttl=ttl)) == f"{PART}.cache_ttl"
