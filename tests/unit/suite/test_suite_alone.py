"""What runs where one role alone is installed, as in its image."""

import subprocess
import sys

import pytest

ROLES = ("gateway", "router", "cache", "embedding", "inference")
EVERYWHERE = ("app.serve", "app.health", "app.check", "adapters.certificates")
OF_THE_GATEWAY = ("app.database", "app.administration", "app.running_stack")


@pytest.mark.parametrize("role", ROLES)
def test_the_commands_of_a_role_need_no_other_roles_package(role):
    modules = (*EVERYWHERE, *(OF_THE_GATEWAY if role == "gateway" else ()))
    absent = [f"penstock_{other}" for other in ROLES if other != role]
    script = (
        f"import sys, importlib; sys.modules.update(dict.fromkeys({absent!r}))\n"
        f"for name in {modules!r}: importlib.import_module(f'penstock_suite.{{name}}')\n"
        f"for name in ('settings', 'app'): importlib.import_module(f'penstock_{role}.{{name}}')"
    )
    loaded = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
    assert not loaded.returncode, loaded.stderr
