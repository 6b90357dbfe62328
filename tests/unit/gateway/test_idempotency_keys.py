"""Idempotency keys: which there may be, whose they are, and when two requests are the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.access.identity import Caller, KeyScope, Tenant, Tier
from penstock_gateway.domain.access.policy import POLICIES
from penstock_gateway.domain.idempotency.keys import Marks, WhenBusy, idempotency_key, when_busy_in
from penstock_gateway.surfaces.wire_formats.idempotency import canonical

CALLER = Caller(Tenant("acme", Tier("own")), "k1", frozenset({KeyScope.INFERENCE}))
MARKS = Marks(b"m" * 32)


def marked(key="a", *asked, caller=CALLER):
    return MARKS.of(caller, {"idempotency-key": key}, *(asked or (b"POST /x", b"{}")))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("abc", "abc"),
        (" abc ", "abc"),
        ('"abc"', "abc"),
        (r'"a\"b\\c"', 'a"b\\c'),
        ("~" * 255, "~" * 255),
        ('"', '"'),
        ('"abc;"', "abc;"),
        ('"abc";x=1', "abc"),
        ('"abc" ; x="y;z"', "abc"),
        ('"abc', '"abc'),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    ],
)
def test_key_is_bare_or_quoted(text, key):
    assert idempotency_key(text) == key


@pytest.mark.parametrize("text", ["", "  ", '""', "~" * 256, "a\tb", "\u00e9", r'"a\b"', '"a"b"', '"a\\"'])
def test_what_is_no_key_is_refused_with_what_to_do(text):
    with pytest.raises(InvalidRequest, match="1 to 255 printable") as refused:
        idempotency_key(text)
    assert refused.value.field == "Idempotency-Key"
    assert "~~" not in str(refused.value)


def test_who_waits_is_said_by_a_header():
    assert when_busy_in({}) is WhenBusy.WAIT
    assert when_busy_in({"x-penstock-idempotency": " Conflict "}) is WhenBusy.CONFLICT
    with pytest.raises(InvalidRequest, match="wait, conflict"):
        when_busy_in({"x-penstock-idempotency": "perhaps"})


def test_mark_is_of_tenant_key_and_text_alone():
    others = [
        marked("b"),
        marked(caller=replace(CALLER, key_id="k2")),
        marked(caller=replace(CALLER, tenant=Tenant("other", Tier("own")))),
        # The parts are not run together.
        marked("1a", caller=replace(CALLER, key_id="k")),
    ]
    assert len({each.mark for each in [marked(), *others]}) == 5
    assert marked().mark == marked("a", b"DELETE /y", b"[]").mark == marked('"a"').mark
    assert marked().mark == marked(caller=replace(CALLER, key_id="k9", first_key_id="k1")).mark
    assert "a" * 3 not in marked("aaaaaaaa").mark or len(marked("aaaaaaaa").mark) == 64


def test_fingerprint_is_of_route_words_and_team():
    differ = {
        marked().fingerprint,
        marked("a", b"POST /y", b"{}").fingerprint,
        marked("a", b"POST /x", b"[]").fingerprint,
    }
    assert (
        len({*differ, marked("a", b"POST /x{}", b"").fingerprint, marked(caller=replace(CALLER, team="t")).fingerprint})
        == 5
    )
    assert marked("b").fingerprint == marked("a").fingerprint


def test_equal_bodies_are_the_same_whatever_their_order_spaces_and_boundary():
    assert canonical(b'{"b": [1, 2],\n "a": 1}', "application/json") == canonical(b'{"a":1,"b":[1,2]}', "")
    assert canonical(b'{"a":[2,1]}', "") != canonical(b'{"a":[1,2]}', "")
    assert canonical(b"\xffno json", "") == b"\xffno json"
    assert canonical(b'{"a":[1.0,-0.0,2e2,0.5]}', "") == canonical(b'{"a":[1,0,200,5e-1]}', "")
    assert canonical(b'{"a":1.5}', "") != canonical(b'{"a":1}', "")
    assert canonical(b'{"a":9007199254740993}', "") != canonical(b'{"a":9007199254740992.0}', "")
    assert canonical(b"[1e999]", "") == b"[1e999]"
    forms = [
        canonical(
            b'--%b\r\nname="a"\r\n\r\n1\r\n--%b--' % (boundary, boundary),
            f"multipart/form-data; boundary={boundary.decode()}",
        )
        for boundary in (b"one", b"another")
    ]
    assert forms[0] == forms[1]


def test_all_but_what_looks_takes_a_key():
    taking = {path for path, policy in POLICIES.items() if policy.takes_idempotency_key}
    looking = {path.rpartition("/")[2] if path.startswith("/") else path for path in POLICIES.keys() - taking}
    # They pass by in pieces.
    passing = {name for name in looking if name == "POST /v1/files" or name.endswith(" /passthrough/{id}")}
    assert all(
        name.startswith(("Get", "List", "Diff", "Render", "Query", "Summarize", "Explain", "Watch", "GET "))
        for name in looking - passing
    )
    assert {"POST /v1/files", "POST /passthrough/{id}"} <= passing
    assert {"/penstock.gateway.v1.AdminService/CreateKey", "DELETE /v1/files/{file}", "POST /v1/messages"} <= taking
