"""Documents, from a folder to what a key finds in them, through the command and the public ports."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid

import pytest
import pytest_asyncio

SICK = "# Sick leave\n\nWhoever is ill tells the office by nine, and brings a certificate from the third day on.\n"
PAY = "# Salaries\n\nSalaries are paid on the last working day of a month, with a thirteenth in November.\n"
TRAVEL = "# Travel\n\nTrains are booked in second class; a flight needs the consent of the head of department.\n"


@pytest.fixture
def operator_key(stack, meaning_sections):
    return (stack.state / "operator-key").read_text().strip()


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(stack, operator_key):
    """The name of a tenant of the test's own."""
    name = f"docs-{uuid.uuid4().hex[:8]}"
    made = await stack.request(
        "POST", "/api/v1/admin/tenants", key=operator_key, json={"name": name, "tier": "enterprise"}
    )
    assert made.status == 200, made.body
    return name


@pytest.fixture
def penstock(stack, operator_key, tenant):
    """Run the command at the public gRPC port as the operator, for the tenant; returns its exit code and its JSON."""

    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}

    async def run(*arguments):
        certificate = ("--ca", stack.ready["ca"]) if "ca" in stack.ready else ()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penstock_suite", *map(str, arguments), "--json",
            "--tenant", tenant, "--address", stack.grpc, "--key", operator_key, *certificate,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        out, errors = await process.communicate()
        assert out, errors.decode()
        told = json.loads(out.splitlines()[-1])
        assert told.get("event") != "failed", told
        return process.returncode, told

    return run


@pytest.fixture
def new_key(stack, operator_key, tenant):
    async def made(**fields):
        body = {"tenant": tenant, **fields}
        return (await stack.request("POST", "/api/v1/admin/keys", key=operator_key, json=body)).json["secret"]

    return made


async def found(stack, key, query, **options):
    """Return the documents that a key finds, the best first."""
    body = {"bases": ["handbook"], "query": query, "options": options}
    answer = await stack.request("POST", "/api/v1/knowledge:search", key=key, json=body)
    assert answer.status == 200, answer.body
    return [hit["chunk"]["document"] for hit in answer.json["result"].get("hits", [])]


async def test_folder_is_found_replaced_relabelled_and_deleted(stack, tenant, penstock, new_key, tmp_path):
    everybody, hr = await new_key(), await new_key(labels=["hr"])
    folder = tmp_path / "handbook"
    (folder / "money").mkdir(parents=True)
    for name, text in (("sick.md", SICK), ("money/pay.md", PAY), ("travel.md", TRAVEL)):
        (folder / name).write_text(text)
    assert (await penstock("knowledge", "create", "handbook"))[0] == 0
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7\nnot a document at all")
    code, report = await penstock("ingest", folder, "--base", "handbook")
    assert (code, sorted(report["added"])) == (6, ["money:pay.md", "sick.md", "travel.md"])
    (left_out,) = report["left_out"]
    assert (left_out["name"], bool(left_out["reason"]), bool(left_out["message"])) == ("bad.pdf", True, True)
    assert report["chunks"] >= 3

    assert (await found(stack, everybody, "When do I get my wages?"))[0] == "money:pay.md"
    code, result = await penstock("search", "handbook", "doctor's certificate", "--explain")
    hit = result["hits"][0]
    assert hit["chunk"]["document"] == "sick.md"
    assert "brings a certificate from the third day on" in hit["chunk"]["text"]

    # What is there is not sent again; what changed is found at once when the command has ended.
    (folder / "bad.pdf").unlink()
    (folder / "travel.md").write_text("# Travel\n\nEverybody rides a bicycle.\n")
    code, report = await penstock("ingest", folder, "--base", "handbook")
    assert (code, report["replaced"], len(report["unchanged"])) == (0, ["travel.md"], 2)
    for mode in ("SEARCH_MODE_SPARSE", "SEARCH_MODE_HYBRID"):
        assert (await found(stack, everybody, "bicycle", mode=mode))[0] == "travel.md"
    assert await found(stack, everybody, "flight", mode="SEARCH_MODE_SPARSE") == []

    # A label holds from its acknowledgement, and nothing is embedded anew.
    place = "/api/v1/knowledge/bases/handbook/documents/money:pay.md"
    administrator = await new_key(scopes=["KEY_SCOPE_ADMIN"])
    relabelled = await stack.request("PATCH", place, key=administrator, json={"labels": ["hr"], "replace_labels": True})
    assert relabelled.status == 200, relabelled.body
    assert "money:pay.md" not in await found(stack, everybody, "When do I get my wages?")
    assert (await found(stack, hr, "When do I get my wages?"))[0] == "money:pay.md"
    looking = await new_key(scopes=["KEY_SCOPE_READ"])
    hidden = await stack.request("GET", place, key=looking)
    unknown = await stack.request("GET", place.replace("pay", "pie"), key=looking)
    assert hidden.status == unknown.status == 404
    assert hidden.json["message"] == unknown.json["message"].replace("pie", "pay")

    (folder / "money" / "pay.md").unlink()
    assert (await penstock("ingest", folder, "--base", "handbook", "--prune"))[1]["pruned"] == [
        "bad.pdf",
        "money:pay.md",
    ]
    assert "money:pay.md" not in await found(stack, hr, "When do I get my wages?")
    row = await stack.request("GET", "/api/v1/knowledge/bases/handbook", key=administrator)
    assert (row.json["base"]["documents"], row.json["base"]["serving"]) == ("2", 1)
