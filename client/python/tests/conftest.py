"""The tests start the server of this checkout, unless IOMMUD_COMMAND or IOMMUD_URL says otherwise."""

import os
from pathlib import Path

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).resolve().parents[3]

if not os.environ.get("IOMMUD_COMMAND"):
    os.environ["IOMMUD_COMMAND"] = f"node {REPOSITORY / 'dist/client/cli/main.js'}"
