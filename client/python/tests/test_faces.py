"""Both faces offer the same."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import iommud
from iommud import aio

ROOT = Path(__file__).resolve().parents[1]
ONLY_BLOCKING = {"Address", "Replayed", "Server", "messages", "replay", "values"}
CLASSES = [name for name in aio.__all__ if inspect.isclass(getattr(aio, name)) and getattr(aio, name).__module__.startswith("iommud.aio")]


def test_what_is_made_from_the_other_face_is_so_now() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools/make_blocking.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_names_are_the_same() -> None:
    assert set(iommud.__all__) - set(aio.__all__) == ONLY_BLOCKING
    assert set(aio.__all__) - set(iommud.__all__) == set()


def public(kind: type) -> dict[str, str]:
    """Methods with their parameters."""
    out = {}
    for name, one in inspect.getmembers(kind):
        if name.startswith("_"):
            continue
        out[name] = str(list(inspect.signature(one).parameters)) if callable(one) else "attribute"
    return out


# What whoever owns the socket calls.
INNER = {"opened_over", "fail_to_open", "take", "end", "broken"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_same_methods(name: str) -> None:
    ours, theirs = public(getattr(iommud, name)), public(getattr(aio, name))
    assert {key: theirs[key] for key in theirs if key not in INNER} == {key: ours[key] for key in ours if key not in INNER}


def test_the_functions_have_the_same_parameters() -> None:
    for name in ("connect", "start_machine"):
        assert inspect.signature(getattr(iommud, name)).parameters.keys() == inspect.signature(getattr(aio, name)).parameters.keys()
