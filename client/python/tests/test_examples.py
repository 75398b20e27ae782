"""The examples that are programs print what they are to show."""

import subprocess
import sys
from pathlib import Path

import pytest

from iommud import Address, rest, start_machine

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


def test_edu_is_a_program_of_its_own(iommud_server: Address) -> None:
    with start_machine(url=iommud_server.url) as machine:
        emulator = subprocess.Popen([sys.executable, EXAMPLES / "edu.py", machine.socket_url, "00:04.0"], stdout=subprocess.PIPE, text=True)
        assert emulator.stdout is not None
        with emulator.stdout as said:
            assert said.readline() == "is 00:04.0\n"
            bar = machine.function("00:04.0").bar(0)
            bar.write(0x08, 5)
            assert bar.read(0x08) == 120
            rest.delete_machine(machine.service, machine.id)
            assert said.readline().startswith("ends: ")
        assert emulator.wait(30) == 0
