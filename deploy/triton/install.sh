#!/usr/bin/env bash
# Make the environment of the local Triton server: install.sh ENV_DIR
#
# Takes the Python named by $PYTHON, else python3. Installs requirements/triton.txt (hashes checked) and gathers the
# backends folder. Does nothing, quickly, when ENV_DIR is up to date.
set -euo pipefail

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

[[ $# -eq 1 ]] || fail "usage: install.sh ENV_DIR"
environment=$1
python=${PYTHON:-python3}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/../../requirements/triton.txt

command -v "$python" >/dev/null || fail "no Python found at '$python': set PYTHON to a Python 3.11 or 3.12."
supported=$("$python" - <<'EOF'
import platform
import sys

libc, version = platform.libc_ver()
new_enough = libc == "glibc" and tuple(map(int, version.split(".")[:2])) >= (2, 35)
linux = sys.platform == "linux" and platform.machine() == "x86_64"
print("yes" if linux and new_enough and sys.version_info[:2] in {(3, 11), (3, 12)} else "no")
EOF
)
[[ $supported == yes ]] || fail "Triton's wheel needs Linux x86-64, glibc 2.35 or newer and Python 3.11 or 3.12: use \
'make up' (containers) or run without Triton (--without-triton)."

# The stamp names what the environment was made from: the pins, this script, and the interpreter.
stamp=$("$python" --version; cat "$requirements" "${BASH_SOURCE[0]}")
stamp=$(sha256sum <<<"$stamp" | cut -d' ' -f1)
if [[ -x $environment/bin/python3 && $(cat "$environment/.installed" 2>/dev/null) == "$stamp" ]]; then
  exit 0
fi

"$python" -m venv --clear "$environment"
"$environment/bin/python3" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
  --only-binary :all: --requirement "$requirements"

# The wheel keeps one stub per Python version apart; the Python backend looks for its stub beside itself.
site=$("$environment/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
version=$("$environment/bin/python3" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
server=$site/pytriton/tritonserver
cp -r "$server/backends" "$environment/backends"
cp "$server/python_backend_stubs/$version/triton_python_backend_stub" "$environment/backends/python/"
chmod +x "$environment/backends/python/triton_python_backend_stub" "$server/bin/tritonserver"

# The stub links libpython: a Python built without its shared library cannot run it.
home=$("$environment/bin/python3" -c 'import sys; print(sys.base_prefix)')
if LD_LIBRARY_PATH=$site/nvidia_pytriton.libs:$home/lib ldd "$environment/backends/python/triton_python_backend_stub" \
  | grep -q 'libpython.*not found'; then
  fail "the Python at $home has no shared libpython: set PYTHON to one that has (uv, a distribution's, or pyenv with \
--enable-shared)."
fi

echo "$stamp" >"$environment/.installed"
