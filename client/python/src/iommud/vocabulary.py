"""Enumerations of the contract by name and by number."""

from __future__ import annotations

from typing import Generic, Mapping, TypeVar, cast

from .errors import invalid

N = TypeVar("N", bound=str)


class Vocabulary(Generic[N]):
    """The names of one enumeration."""

    def __init__(self, what: str, by_number: Mapping[int, N]) -> None:
        self._what = what
        self._by_number = dict(by_number)
        self._by_name: dict[str, int] = {name: number for number, name in by_number.items()}
        self.names: list[N] = list(by_number.values())

    def name_of(self, number: int) -> N:
        """One that this client does not know keeps its number, as in `outcome-40`."""
        known = self._by_number.get(number)
        return cast(N, f"{self._what}-{number}") if known is None else known

    def number_of(self, name: str, about: str) -> int:
        """EINVAL naming `about` for a name that is not in the list."""
        number = self._by_name.get(name)
        if number is None:
            raise invalid(about, f"{name!r} is none of {', '.join(self._by_name)}")
        return number


_LETTERS = "rwx"


def access_bits(access: str, about: str = "access") -> int:
    """`rw` as the contract's bits: 1 read, 2 write, 4 execute."""
    bits = 0
    for letter in access:
        bit = 1 << _LETTERS.find(letter) if letter in _LETTERS else 0
        if bit == 0 or bits & bit:
            raise invalid(about, f"{access!r} is not made of r, w and x, each at most once")
        bits |= bit
    return bits


def access_text(bits: int) -> str:
    return "".join(letter for at, letter in enumerate(_LETTERS) if bits & (1 << at))
