"""The kinds of tests that a program is put to: what each feeds it, and how it judges the run.

All judging is done out here, from what came out of the sandbox, so the program never sees what is expected of it. Unit
tests are the exception: they hold what they expect, and run beside the program.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from r1_trl.verifiers.sandbox import Run


class ProgramTest(Protocol):
    """One run of the program, and what is to come of it."""

    @property
    def stdin(self) -> bytes:
        """What the program reads."""

    def judge(self, run: Run) -> tuple[float, str]:
        """The share that is right, 0 to 1, and what is wrong, "" if nothing is."""


@dataclass(frozen=True)
class OutputTest:
    """The program reads an input and prints an output.

    Compared as judges do: white space at the ends of lines and empty lines at the end are free.
    """

    stdin: bytes
    expected: str

    def judge(self, run: Run) -> tuple[float, str]:
        """See [`ProgramTest`]."""
        try:
            found = _lines(run.stdout.decode())
        except UnicodeDecodeError:
            return 0.0, "its output is no UTF-8"
        expected = _lines(self.expected)
        for number, (line, wanted) in enumerate(zip(found, expected, strict=False), start=1):
            if line != wanted:
                return 0.0, f"line {number} of its output is {_short(line)} instead of {_short(wanted)}"
        if len(found) != len(expected):
            return 0.0, f"its output has {len(found)} lines instead of {len(expected)}"
        return 1.0, ""


@dataclass(frozen=True)
class CallTest:
    """A function of the program is called and returns a value."""

    function: str
    args: list[Any]
    expected: Sequence[Any]  # any of them will do

    @property
    def stdin(self) -> bytes:
        """See [`ProgramTest`]."""
        return json.dumps({"function": self.function, "args": self.args}).encode() + b"\n"

    def judge(self, run: Run) -> tuple[float, str]:
        """See [`ProgramTest`]."""
        try:
            found = json.loads(run.stdout)
            if any(same_value(found, expected) for expected in self.expected):
                return 1.0, ""
            return 0.0, f"it returned {_short(found)} instead of {_short(self.expected[0])}"
        except (ValueError, RecursionError):
            return 0.0, "it returned nothing that can be compared"


@dataclass(frozen=True)
class UnitTests:
    """A file of tests runs beside the program."""

    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def stdin(self) -> bytes:
        """See [`ProgramTest`]."""
        return json.dumps({"nonce": self.nonce}).encode() + b"\n"

    def judge(self, run: Run) -> tuple[float, str]:
        """See [`ProgramTest`]."""
        try:
            report = json.loads(run.stdout)
            if report["nonce"] != self.nonce:
                raise ValueError
            ran, failed = int(report["ran"]), [(str(name), str(why)) for name, why in report["failed"]]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return 0.0, "the program left before the tests were done"
        if failed:
            return max(0.0, 1 - len(failed) / max(ran, 1)), f"{failed[0][0]}: {failed[0][1]}"[:200]
        return (1.0, "") if ran > 0 else (0.0, "no test ran")


def same_value(found: Any, expected: Any) -> bool:
    """Whether two JSON values are the same: numbers by value, one that is no integer to a millionth; `true` is no 1.

    >>> same_value([1, 2.0], [1.0, 2]), same_value(0.1 + 0.2, 0.3), same_value(True, 1), same_value(10**20 + 1, 10**20)
    (True, True, False, False)
    """
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    if isinstance(expected, int | float) and isinstance(found, int | float):
        if isinstance(expected, int) and isinstance(found, int):
            return found == expected
        try:
            return math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)
        except OverflowError:
            return False
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(same_value, found, expected))
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(same_value(found[key], expected[key]) for key in expected)
    return type(found) is type(expected) and bool(found == expected)


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.rstrip().split("\n")]
    return [] if lines == [""] else lines


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return repr(text if len(text) <= 60 else text[:60] + "…")
