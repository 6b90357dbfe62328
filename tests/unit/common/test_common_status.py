"""The table of errors: complete on every side, and the same read both ways."""

import inspect
import re
import string
from datetime import timedelta
from pathlib import Path

import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors.v1 import error_reason_pb2 as reasons
from penstock_common import errors
from penstock_common.status import (
    DOMAIN,
    code_of,
    error_from_status,
    reason_of,
    retry_after_seconds,
    status_from_error,
)

PROTO = Path(__file__).parents[3] / "proto/penstock/errors/v1/error_reason.proto"
ERROR_TYPES = sorted(
    (
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.PenstockError) and value is not errors.PenstockError
    ),
    key=lambda kind: kind.__name__,
)
DETAIL_TYPES = {
    name: getattr(error_details_pb2, name) for name in ("ErrorInfo", "RetryInfo", "QuotaFailure", "BadRequest")
}
CHARACTERS = st.characters(exclude_categories=("Cs",))
# Of a violation that says no more than its error nothing is told.
TEXTS = st.text(CHARACTERS, max_size=50).map(lambda text: f"one of {text}")
VALUES = {
    "str": st.text(CHARACTERS, max_size=60),
    "int": st.integers(0, 2**40),
    "tuple[Violation, ...]": st.lists(st.builds(errors.Violation, TEXTS, TEXTS), max_size=errors.MAX_VIOLATIONS).map(
        tuple
    ),
    "timedelta": st.timedeltas(timedelta(0), timedelta(days=400)),
}


def comments():
    """Yield (reason, comment) for each value of the enum, as a reader of the contract sees them."""
    gathered = []
    for line in PROTO.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        value = re.match(r"ERROR_REASON_(\w+) = \d+;", text)
        if text.startswith("//"):
            gathered.append(text.removeprefix("//").strip())
        elif value:
            yield value[1], " ".join(gathered)
            gathered = []
        else:
            gathered = []


DOCUMENTED = {reason: comment for reason, comment in comments() if reason != "UNSPECIFIED"}


def errors_of(kind):
    fields = {name: VALUES[annotation] for name, annotation in inspect.get_annotations(kind).items()}
    return st.builds(kind, **{"message": VALUES["str"], **fields})


def detail_names(status):
    return [detail.type_url.rpartition(".")[2] for detail in status.details]


def info_of(status):
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


def test_every_reason_has_one_error_and_every_error_one_reason():
    named = {reason_of(kind("text")) for kind in ERROR_TYPES}
    assert len(named) == len(ERROR_TYPES)
    values = {name.removeprefix("ERROR_REASON_") for name, _ in reasons.ErrorReason.items()} - {"UNSPECIFIED"}
    assert named == values == set(DOCUMENTED)


def test_the_errors_docstring_lists_every_error():
    listed = re.findall(r"[├└]── (\w+)", inspect.getdoc(errors))
    assert sorted(listed) == [kind.__name__ for kind in ERROR_TYPES]


@pytest.mark.parametrize("kind", ERROR_TYPES, ids=lambda kind: kind.__name__)
def test_the_contracts_comment_names_the_status_that_is_sent(kind):
    comment = DOCUMENTED[reason_of(kind("text"))]
    assert re.match(r"[A-Z_]+", comment)[0] == code_of(kind("text")).name


@pytest.mark.parametrize("kind", ERROR_TYPES, ids=lambda kind: kind.__name__)
def test_the_contracts_comment_names_the_details_and_metadata_that_are_sent(kind):
    comment = DOCUMENTED[reason_of(kind("text"))]
    metadata = dict(re.findall(r'"(\w+)": "([^"]*)"', comment))
    types = inspect.get_annotations(kind)
    status = status_from_error(
        kind(
            "text",
            **{name: int(value) if types[name] == "int" else value for name, value in metadata.items()},
        )
    )
    assert dict(info_of(status).metadata) == metadata
    assert info_of(status).domain == DOMAIN
    named = {name for name in DETAIL_TYPES if re.search(rf"\b{name}\b", comment)}
    assert set(detail_names(status)) == named | {"ErrorInfo"}
    # Whatever else an error carries is in the comment's example, except what has a detail of its own.
    assert set(types) - {"message", "retry_after", "violations"} == set(metadata)


@pytest.mark.parametrize("kind", ERROR_TYPES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_error_comes_back_from_its_status_as_it_was(kind, data):
    error = data.draw(errors_of(kind))
    status = status_pb2.Status.FromString(status_from_error(error).SerializeToString())
    again = error_from_status(status)
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == status.message == error.message
    assert status.code == getattr(code_pb2, code_of(error).name)


def test_a_subclass_is_sent_as_the_error_above_it():
    class SlowDown(errors.RateLimited):
        pass

    error = SlowDown("Slow.", limit="tokens_per_minute", retry_after=timedelta(seconds=3))
    assert reason_of(error) == "RATE_LIMITED"
    again = error_from_status(status_from_error(error))
    assert type(again) is errors.RateLimited
    assert vars(again) == vars(error)


def test_a_subclass_of_a_subclass_is_sent_as_the_nearest():
    class Odd(errors.UnsupportedParameter):
        pass

    assert reason_of(Odd("no", parameter="n")) == "UNSUPPORTED_PARAMETER"


@pytest.mark.parametrize(
    "change",
    [
        lambda info: setattr(info, "domain", "googleapis.com"),
        lambda info: setattr(info, "reason", "SOMETHING_NEWER"),
        lambda info: setattr(info, "reason", ""),
    ],
)
def test_a_status_of_somebody_else_carries_no_error_of_ours(change):
    status = status_from_error(errors.ModelNotFound("none", model="m"))
    info = info_of(status)
    change(info)
    status.details[0].Pack(info)
    assert error_from_status(status) is None


def test_a_status_without_details_carries_no_error():
    assert error_from_status(status_pb2.Status(code=code_pb2.NOT_FOUND, message="none")) is None


def test_details_of_others_and_metadata_of_a_newer_version_are_passed_over():
    status = status_from_error(errors.Overloaded("full", retry_after=timedelta(seconds=2)))
    info = info_of(status)
    info.metadata["newer"] = "field"
    status.details[0].Pack(info)
    status.details.add().Pack(error_details_pb2.DebugInfo(detail="theirs"))
    assert vars(error_from_status(status)) == {"message": "full", "retry_after": timedelta(seconds=2)}


def test_an_internal_error_says_nothing_of_its_cause():
    assert str(errors.InternalError()) == "Internal error. Give the request id to the operator."


@given(st.timedeltas(timedelta(0), timedelta(days=1)))
def test_a_retry_after_header_never_invites_too_early(after):
    seconds = retry_after_seconds(after)
    assert seconds >= 1
    assert timedelta(seconds=seconds) >= after
    assert seconds == 1 or timedelta(seconds=seconds - 1) < after


@given(st.text(string.printable + "日é\ud800", min_size=1, max_size=5000))
def test_any_text_can_be_sent(text):
    status = status_from_error(errors.InvalidRequest(text, field=text))
    assert len(status.message.encode()) <= 1024
    assert len(status.SerializeToString()) < 3000
    assert type(error_from_status(status)) is errors.InvalidRequest


def test_the_generated_code_is_that_of_the_contract():
    numbers = dict(re.findall(r"ERROR_REASON_(\w+) = (\d+);", PROTO.read_text(encoding="utf-8")))
    generated = {name.removeprefix("ERROR_REASON_"): str(number) for name, number in reasons.ErrorReason.items()}
    assert numbers == generated
