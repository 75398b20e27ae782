"""What blocks may block."""

from __future__ import annotations

from typing import Callable, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return run(*args, **kwargs)
