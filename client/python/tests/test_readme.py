"""The README is run: each program prints what stands below it, and its tests pass."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
PROGRAMS = [
    (text, BLOCKS[at + 1][1])
    for at, (kind, text) in enumerate(BLOCKS[:-1])
    if kind == "python" and BLOCKS[at + 1][0] == "text" and "def test_" not in text
]


def test_there_are_programs() -> None:
    assert len(PROGRAMS) == 3


@pytest.mark.parametrize("program, printed", PROGRAMS, ids=["first", "aio", "device"])
def test_a_program_prints_what_is_said(program: str, printed: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == printed


def test_its_tests_pass(pytester: pytest.Pytester) -> None:
    tests = [text for kind, text in BLOCKS if kind == "python" and "def test_" in text]
    pytester.makepyfile("\n\n".join(tests))
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
