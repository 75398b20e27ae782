"""The examples that are programs print what they are to show."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PRINTED = {
    "rogue_dma.py": "performed\nnot-present\n00:02.0 write 0x11000: not present\n",
    "edu.py": "identification 0x10000ed, 10! = 3628800\nthere and back\n00:04.0 read 0x9000: not present\n",
}


def test_there_is_no_other() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("test_")} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints(name: str) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (PRINTED[name], "")
