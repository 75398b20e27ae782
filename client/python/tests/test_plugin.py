"""The pytest plugin, as a project that has installed it meets it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import iommud
from iommud.server import server_command

# The shape that the package was made to reach, word for word.
SAMPLE = """
def test_rogue_dma_and_reset(machine):
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(4096)
    dev.dma.map(iova=0x10000, address=page.address, size=4096, access="rw")
    assert dev.model.write(0x10000, b"hello").ok
    dev.model.write(0x11000, b"rogue")
    assert machine.faults.next().cause == "not-present"
    late = dev.model.start_write(0x10000, b"late", hold="translated")
    assert dev.reset("flr", deadline_ms=10, on_deadline="abort").aborted == 1
"""

RED = """
def test_red(machine):
    dev = machine.function("00:02.0")
    dev.model.write(0x11000, b"rogue")
    dev.faults.arm("never-ready")
    dev.model.start_read(0x5000, 4, hold="issued")
    machine.info()
    assert machine.faults.next().cause == "performed"
"""

MACHINES = """
import pytest

@pytest.mark.parametrize("at", range(6))
def test_a_machine_of_its_own(machine, iommud_server, at):
    # In a machine that another test had used the first page would be taken.
    assert machine.memory.alloc(4096).address == 0x40000000
    with open(f"server-{at}", "w") as out:
        out.write(f"{iommud_server.url} {machine.id}")
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has to start its service by itself."""
    monkeypatch.delenv("IOMMUD_URL", raising=False)
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)


def test_the_sample_runs_as_it_stands(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAMPLE)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def served(folder: Path) -> tuple[set[str], set[str]]:
    lines = [path.read_text().split() for path in folder.glob("server-*")]
    assert len(lines) == 6
    return {url for url, _ in lines}, {machine for _, machine in lines}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "xdist"])
def test_a_server_per_run_and_a_machine_per_test(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makepyfile(MACHINES)
    pytester.runpytest_subprocess(*workers).assert_outcomes(passed=6)
    urls, machines = served(pytester.path)
    assert (len(urls), len(machines)) == (1, 6)
    # It ended with the run.
    with pytest.raises(iommud.IommudError):
        iommud.rest.get(iommud.Address(urls.pop()), "/healthz")


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "xdist"])
def test_a_service_that_runs_is_used_and_machines_are_deleted(
    pytester: pytest.Pytester, iommud_server: iommud.Address, workers: list[str]
) -> None:
    before = {one["id"] for one in iommud.rest.get(iommud_server, "/v1/machines")["machines"]}
    pytester.makepyfile(MACHINES)
    pytester.runpytest_subprocess("--iommud-url", iommud_server.url, *workers).assert_outcomes(passed=6)
    urls, machines = served(pytester.path)
    assert urls == {iommud_server.url}
    after = {one["id"] for one in iommud.rest.get(iommud_server, "/v1/machines")["machines"]}
    assert machines & (before | after) == set()


@pytest.mark.usefixtures("alone")
def test_a_token_is_of_a_service_that_runs_and_not_of_one_that_is_started(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOMMUD_TOKEN", "secret")
    pytester.makepyfile("def test_it(machine):\n    machine.connect(['device'])\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    with iommud.Server() as server:
        # One that wants it: what the environment says of tokens goes by.
        assert iommud.rest.get(server.address, "/v1/machines") == {"machines": []}


@pytest.mark.usefixtures("alone")
def test_a_run_that_needs_no_server_starts_none(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOMMUD_COMMAND", "false")
    pytester.makepyfile("def test_nothing():\n    pass\n")
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=1)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "xdist"])
@pytest.mark.parametrize("command, said", [("false", "ended"), ("/nowhere/iommud", "No such file")])
def test_a_server_that_does_not_start_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, command: str, said: str, workers: list[str]
) -> None:
    monkeypatch.setenv("IOMMUD_COMMAND", command)
    pytester.makepyfile("def test_it(machine):\n    pass\n")
    result = pytester.runpytest_subprocess(*workers)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{command} serve*{said}*"])


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["serial", "xdist"])
def test_a_red_test_leaves_what_its_machine_was(pytester: pytest.Pytester, iommud_server: iommud.Address, workers: list[str]) -> None:
    pytester.makepyfile(test_some=RED)
    result = pytester.runpytest_subprocess("--iommud-url", iommud_server.url, "--iommud-artifacts", "left", "--iommud-seed", "77", *workers)
    result.assert_outcomes(failed=1)
    folder = pytester.path / "left" / "test_some.py-test_red" / "machine"
    result.stdout.fnmatch_lines(
        [
            "*- iommud: machine -*",
            "machine m-*, seed 77",
            f"left in {folder}: faults.json, ledger.json, machine.json, machine.snapshot, test_some.py-test_red.iommurec, timeline.jsonl",
            f"as it was when the test failed: iommud machine load {folder}/machine.snapshot",
            f"reproduce: iommud replay {folder}/test_some.py-test_red.iommurec",
        ]
    )
    said = json.loads((folder / "machine.json").read_text())
    assert (said["seed"], said["test"], said["behaviour"]) == (77, "test_some.py::test_red", "strict")
    assert len(said["trace_hash"]) == 16
    faults = json.loads((folder / "faults.json").read_text())
    assert [(one["function"], one["iova"], one["cause"]) for one in faults["records"]] == [("00:02.0", 0x11000, "not-present")]
    assert [one["fault"] for one in faults["armed"]] == ["never-ready"]
    ledger = json.loads((folder / "ledger.json").read_text())
    assert [(one["iova"], one["point"], one["held"]) for one in ledger["00:02.0"]] == [(0x5000, "issued", True)]
    timeline = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
    assert [one["iova"] for one in timeline if one["event"] == "faults"] == [0x11000]
    assert sum(one["event"] == "trace" for one in timeline) > 2
    assert [one["time_ns"] for one in timeline] == sorted(one["time_ns"] for one in timeline)
    # The recording is the test: it is replayed without it, and comes to the same.
    replay = [*server_command(), "replay", str(folder / "test_some.py-test_red.iommurec")]
    done = subprocess.run(replay, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "are the same; trace hash" in done.stdout
    # The snapshot is the machine: it is made again, with what it had in flight.
    made = iommud.rest.load_snapshot(iommud_server, (folder / "machine.snapshot").read_bytes(), "again-" + (workers or ["0"])[-1])
    with iommud.connect(made.socket_url) as again:
        assert [entry.iova for entry in again.machine.function("00:02.0").ledger()] == [0x5000]
    iommud.rest.delete_machine(iommud_server, made.id)


def test_a_red_test_without_a_folder_names_its_seed(pytester: pytest.Pytester, iommud_server: iommud.Address) -> None:
    pytester.makepyfile(RED)
    result = pytester.runpytest_subprocess("--iommud-url", iommud_server.url)
    result.stdout.fnmatch_lines(["machine m-*, seed 1", "--iommud-artifacts DIR keeps what it was"])
    assert not (pytester.path / "left").exists()


def test_a_green_test_leaves_nothing(pytester: pytest.Pytester, iommud_server: iommud.Address) -> None:
    pytester.makepyfile("def test_green(machine):\n    machine.info()\n")
    pytester.runpytest_subprocess("--iommud-url", iommud_server.url, "--iommud-artifacts", "left").assert_outcomes(passed=1)
    assert not (pytester.path / "left").exists()


def test_a_machine_that_is_gone_is_told_and_what_there_was_is_left(pytester: pytest.Pytester, iommud_server: iommud.Address) -> None:
    pytester.makepyfile(
        """
        import iommud
        def test_gone(machine):
            iommud.rest.delete_machine(machine.service, machine.id)
            machine.info()
        """
    )
    result = pytester.runpytest_subprocess("--iommud-url", iommud_server.url, "--iommud-artifacts", "left")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["missing: machine.snapshot: ENODEV*"])


def test_a_mark_with_what_is_no_argument_is_an_error(pytester: pytest.Pytester, iommud_server: iommud.Address) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.iommud(warp=9)\ndef test_it(machine):\n    pass\n")
    pytester.runpytest_subprocess("--iommud-url", iommud_server.url).assert_outcomes(errors=1)
