"""What a row of code asks for, read from its `verifier_args`."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1_trl.errors import did_you_mean
from r1_trl.verifiers.code_tests import CallTest, OutputTest, ProgramTest, UnitTests
from r1_trl.verifiers.program import LANGUAGES, PYTHON
from r1_trl.verifiers.sandbox import Limits

# The paper gives none. Judges of contests allow 1 to 10 seconds and 256 MB or more.
TIME_LIMIT, MEMORY_LIMIT_MB = 4.0, 512
_KINDS = ("tests", "inputs", "unit_tests")
_OPTIONS = ("language", "time_limit", "memory_limit_mb", "partial_credit", "allow_unsafe")
_KEYS = (*_KINDS, "outputs", "function", "fn_name", *_OPTIONS)
_HARNESS = Path(__file__).with_name("harness.py").read_bytes()


class RowError(Exception):
    """The row cannot be graded; the message says why."""


@dataclass(frozen=True)
class CodeRow:
    """A row, read.

    Args:
        language (`str`): A key of [`~r1_trl.verifiers.program.LANGUAGES`].
        tests (`Sequence[ProgramTest]`): At least one.
        command (`tuple[str, ...]`): What runs for each test; empty where that is the answer's program itself.
        source_file (`str`): Where the command expects the source.
        files (`dict[str, bytes]`): What the command needs besides.
        limits (`Limits`): For each test.
        partial_credit, unsafe (`bool`): As in `verifier_args`.
    """

    language: str
    tests: Sequence[ProgramTest]
    command: tuple[str, ...]
    source_file: str
    files: dict[str, bytes]
    limits: Limits
    partial_credit: bool
    unsafe: bool


def read_row(args: dict[str, Any] | None) -> CodeRow:
    """Reads `verifier_args`.

    Raises:
        `RowError`: They do not say what is to be tested, or how.

    >>> read_row({"tests": [{"input": "1", "output": "2"}]}).tests
    [OutputTest(stdin=b'1', expected='2')]
    """
    args = args or {}
    for key in args:
        if key not in _KEYS:
            raise RowError(f"verifier_args have no key {key!r}{did_you_mean(key, _KEYS, otherwise='')}")
    language = args.get("language", "python")
    if not isinstance(language, str) or language not in LANGUAGES:
        raise RowError(f"language {language!r} is not among {', '.join(LANGUAGES)}")
    kinds = [kind for kind in _KINDS if kind in args]
    if len(kinds) != 1:
        raise RowError(f"verifier_args need one of {', '.join(_KINDS)}, and have {' and '.join(kinds) or 'none'}")
    tests = _read_tests(args)
    in_harness = not isinstance(tests[0], OutputTest)
    if in_harness and language != "python":
        raise RowError(f"calls and unit tests are for Python, and the language is {language!r}")
    files = {"harness.py": _HARNESS} if in_harness else {}
    if "unit_tests" in args:
        files["unit_tests.py"] = args["unit_tests"].encode()
    longest = max((len(test.expected) for test in tests if isinstance(test, OutputTest)), default=0)
    return CodeRow(
        language=language,
        tests=tests,
        command=(*PYTHON, "../program/harness.py") if in_harness else (),
        source_file="solution.py" if in_harness else LANGUAGES[language].file,
        files=files,
        limits=Limits(
            seconds=_number(args, "time_limit", TIME_LIMIT),
            memory_mb=math.ceil(_number(args, "memory_limit_mb", MEMORY_LIMIT_MB)),
            output_kb=max(Limits.output_kb, 8 * longest // 1024),  # up to 4 bytes a sign, and room for errors
        ),
        partial_credit=_flag(args, "partial_credit"),
        unsafe=_flag(args, "allow_unsafe"),
    )


def _read_tests(args: dict[str, Any]) -> Sequence[ProgramTest]:
    if "unit_tests" in args:
        _check_unit_tests(args["unit_tests"])
        return [UnitTests()]
    function = args.get("function", args.get("fn_name"))
    if function is not None and not (isinstance(function, str) and function.isidentifier()):
        raise RowError(f"function {function!r} is no name")
    kind = "tests" if "tests" in args else "inputs"
    given = args[kind]
    if not isinstance(given, list) or not given:
        raise RowError(f"{kind} must be a list of at least one test")
    if kind == "tests":
        return [_read_test(test, number, function) for number, test in enumerate(given, start=1)]
    outputs = args.get("outputs")
    if not isinstance(outputs, list) or len(outputs) != len(given):
        raise RowError(f"{len(given)} inputs need as many outputs, not {_count(outputs)}")
    if function is None:
        return [OutputTest(_text(one).encode(), _text(other)) for one, other in zip(given, outputs, strict=True)]
    return [_read_call(function, one, other) for one, other in zip(given, outputs, strict=True)]


def _read_test(test: Any, number: int, function: str | None) -> ProgramTest:
    keys = ("input", "output") if function is None else ("args", "expected")
    if not isinstance(test, dict) or not all(key in test for key in keys):
        raise RowError(f"test {number} needs {keys[0]} and {keys[1]}")
    one, other = (test[key] for key in keys)
    if function is None:
        return OutputTest(_text(one).encode(), _text(other))
    if not isinstance(one, list):
        raise RowError(f"test {number}: args must be a list")
    return CallTest(function, one, [other])


def _read_call(function: str, given: Any, wanted: Any) -> ProgramTest:
    """As in the datasets: the arguments in a list, or as lines of JSON; the result often in a list of its own."""
    if isinstance(given, str):
        try:
            return CallTest(function, [json.loads(line) for line in given.split("\n")], [json.loads(wanted)])
        except (ValueError, TypeError, RecursionError) as error:
            raise RowError(f"inputs and outputs of a call must be JSON: {error}") from error
    if not isinstance(given, list):
        raise RowError("each of the inputs of a call must be a list of arguments")
    wrapped = isinstance(wanted, list) and len(wanted) == 1
    return CallTest(function, given, [wanted, wanted[0]] if wrapped else [wanted])


def _check_unit_tests(source: Any) -> None:
    if not isinstance(source, str):
        raise RowError("unit_tests must be the text of a Python file")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RowError(f"unit_tests are no Python: {error}") from error
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    if not any(isinstance(node, kinds) and node.name.startswith("test") for node in ast.walk(tree)):
        raise RowError("unit_tests have no function or method whose name starts with test")


def _text(value: Any) -> str:
    lines = value if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines):
        raise RowError("inputs and outputs must be text, or lists of lines")
    text = "\n".join(lines)
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise RowError("inputs and outputs must be Unicode, without lone surrogates")
    return text


def _count(value: Any) -> str:
    return str(len(value)) if isinstance(value, list) else "none"


def _number(args: dict[str, Any], key: str, default: float) -> float:
    value = args.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise RowError(f"{key} must be a number above 0, got {value!r}")
    return float(value)


def _flag(args: dict[str, Any], key: str) -> bool:
    value = args.get(key, False)
    if not isinstance(value, bool):
        raise RowError(f"{key} must be true or false, got {value!r}")
    return value
