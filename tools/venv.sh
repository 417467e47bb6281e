#!/bin/sh
# Makes .venv with all that the demo and the tests need, with a Python that bpy exists for (3.11 or 3.13).
# PYTHON=path chooses one; where there is none, uv fetches one.
set -eu
cd "$(dirname "$0")/.."

fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 13)))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-python3.11 python3.13 python3 python}; do
    if command -v "$candidate" >/dev/null && fits "$candidate"; then python=$candidate; break; fi
done
if [ -n "$python" ]; then
    echo "Setting up .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv
elif command -v uv >/dev/null || python3 -m pip install --quiet --target build/uv uv; then
    echo "Setting up .venv with a Python 3.11 from uv …"
    PATH="$PATH:$PWD/build/uv/bin" uv venv --clear --seed --python 3.11 .venv
else
    echo "No Python 3.11 or 3.13 was found, and uv, which could fetch one, cannot be installed." >&2
    echo "Install one of them and run make again, or name it: make PYTHON=/path/to/python3.11 …" >&2
    exit 1
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
.venv/bin/python -c 'import bpy' >/dev/null || {
    echo "Blender's module needs system libraries that are missing here; on Debian and Ubuntu:" >&2
    echo "  apt install libegl1 libgl1 libice6 libsm6 libx11-6 libxfixes3 libxi6 libxkbcommon0 libxrender1 libxxf86vm1" >&2
    exit 1
}
touch .venv/.ready
