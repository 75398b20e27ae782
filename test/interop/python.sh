#!/usr/bin/env bash
# The Python client with Debian's packages only: its wheel is built, installed in a virtual environment without a network, and there it is
# type-checked in strict mode and tested, with its examples, by two workers; its format is looked at. Writes a count of the tests to $REPORT.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-/usr/bin/python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PYTHONDONTWRITEBYTECODE=1 PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export IOMMUD_COMMAND="node $repository/dist/client/cli/main.js"

cp -aL "$repository/client/python" "$folder/source"
"$python" -m build --wheel --no-isolation --outdir "$folder" "$folder/source" >"$folder/build.log" 2>&1 || { cat "$folder/build.log"; exit 1; }
wheel=$(echo "$folder"/iommud-*.whl)
echo "built $(basename "$wheel"): $(stat -c %s "$wheel") bytes"

"$python" -m venv --system-site-packages "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-index "$wheel"

cd "$repository/client/python"
"$python" tools/make_blocking.py --check
"$python" -m black --quiet --check . || { echo 'not in the format: python3 -m black client/python'; exit 1; }
"$python" -m mypy --config-file pyproject.toml --cache-dir "$folder/mypy"
# As a program that has installed it: by the wheel's py.typed.
MYPYPATH='' "$python" -m mypy --config-file '' --strict --python-executable "$folder/venv/bin/python" --cache-dir "$folder/mypy-installed" tests examples

code=0
"$folder/venv/bin/python" -m pytest -p no:cacheprovider -n 2 --junitxml "$folder/junit.xml" tests examples || code=$?
[ -z "${REPORT:-}" ] || "$python" - "$folder/junit.xml" "$REPORT" <<'END'
import json
import sys
from xml.etree import ElementTree

suites = ElementTree.parse(sys.argv[1]).getroot().iter("testsuite")
counts = [{key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")} for suite in suites]
failed = sum(one["failures"] + one["errors"] for one in counts)
passed = sum(one["tests"] - one["skipped"] for one in counts) - failed
with open(sys.argv[2], "w") as out:
    json.dump({"numPassedTests": passed, "numFailedTests": failed, "testResults": []}, out)
END
exit "$code"
