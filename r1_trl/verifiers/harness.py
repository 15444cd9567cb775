"""Runs in the sandbox, beside a Python program: calls one of its functions, or runs unit tests on it.

It is copied into the sandbox as a file and knows nothing of this package. An order comes as the first line of the
input; the report goes to what was the standard output, which from then on is the standard error, so that a program may
print what it likes.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from types import ModuleType
from typing import Any


def main() -> None:
    """Follows the order: `function` and `args`, or `nonce`."""
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # programs use them, and -S leaves them out
    order = json.loads(sys.stdin.readline())
    result = _call(**order) if "function" in order else _run_tests(**order)
    json.dump(result, report)
    report.close()


def _load(name: str) -> ModuleType:
    path = f"../program/{name}.py"
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with open(path, "rb") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)
    return module


def _call(function: str, args: list[Any]) -> Any:
    """The result of a function of the program, or of a method of its class `Solution`."""
    program = _load("solution")
    if not hasattr(program, function) and hasattr(program, "Solution"):
        return getattr(program.Solution(), function)(*args)
    return getattr(program, function)(*args)


def _run_tests(nonce: str) -> dict[str, Any]:
    """Runs the TestCases and the functions `test…` that stand in the file of tests itself."""
    import unittest

    result, suite = unittest.TestResult(), unittest.TestSuite()
    _load("solution")
    for name, value in vars(_load("unit_tests")).items():
        if getattr(value, "__module__", None) != "unit_tests":
            continue
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(value))
        elif name.startswith("test") and callable(value):
            suite.addTest(unittest.FunctionTestCase(value, description=name))
    suite.run(result)
    bad = [*result.failures, *result.errors, *((test, "unexpected success") for test in result.unexpectedSuccesses)]
    failed = [[test.shortDescription() or test.id(), text.strip().splitlines()[-1]] for test, text in bad]
    return {"nonce": nonce, "ran": result.testsRun - len(result.skipped), "failed": failed}


if __name__ == "__main__":
    main()
