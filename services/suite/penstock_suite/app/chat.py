"""`penstock chat`: whom to ask, and with which key."""

from __future__ import annotations

from penstock_suite.adapters.state_files import open_state_folder, read_run_record
from penstock_suite.app.plan import state_root
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.requests import Selection


def chat_target(selection: Selection, address: str, key: str) -> tuple[str, str]:
    """Return a gRPC address and a key: as given, else those of the state folder.

    Raises:
        SuiteFailure: if nothing runs on the folder and no address is given.
        Misconfigured: if there is no key.
    """
    state = open_state_folder(state_root(selection.state))
    if not address:
        record = read_run_record(state)
        if record is None:
            raise SuiteFailure(
                f"no stack runs on {state.root}: start one with 'penstock up', name its folder with --state (that of 'make run' is .state), or give --address"
            )
        address = record.gateways[0]
    if not key:
        if not state.demo_key.is_file():
            raise Misconfigured("there is no key: give one with --key, or in PENSTOCK_API_KEY")
        key = state.demo_key.read_text(encoding="utf-8").strip()
    return address, key
