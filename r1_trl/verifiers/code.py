"""The code verifier: does this program pass its tests?

The program runs in a sandbox (`sandbox.py`) once for each test; what it prints or returns is judged outside
(`code_tests.py`). A test counts only if the program ended by itself with exit code 0 in time.

Departures from the paper:

1. It compiles answers and runs them on "predefined test cases", and says no more. The limits, the comparison and the
   kinds of tests are ours, after contest judges and the public datasets.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

from r1_trl.errors import InputError
from r1_trl.verifiers.bubblewrap import require_linux
from r1_trl.verifiers.code_row import CodeRow, RowError, read_row
from r1_trl.verifiers.program import (
    COMPILE_LIMITS,
    COMPILE_SECONDS,
    LANGUAGES,
    MAX_BYTES,
    check_compiler,
    compile_program,
    find_program,
    run_command,
)
from r1_trl.verifiers.reason import because
from r1_trl.verifiers.sandbox import START_SECONDS, Limits, Run, Sandbox, check_sandbox

CONSENT = "R1_TRL_ALLOW_UNSAFE"


class CodeVerifier:
    r"""Whether a program passes tests, run in a sandbox.

    Calling it takes:

    - answer (`str`): The final answer: its last fenced block of the row's language, or all of it without any fence.
    - solution (`str`): Not used; a right program, for `r1-trl verify`.
    - args (`dict`): One of these kinds of tests,

        - `tests` (`[{"input": …, "output": …}]`): what the program reads, and what it must print; or `inputs` and
          `outputs`, two lists of the same length;
        - `function` with `tests` (`[{"args": […], "expected": …}]`): arguments of a Python function, or of a method of
          `class Solution`, and what it must return; or `fn_name` with `inputs` and `outputs`;
        - `unit_tests` (`str`): a Python file with TestCases or functions `test…` that imports the module `solution`;

      and these options:

        - `language` (`str`, defaults to `"python"`): or `"cpp"`;
        - `time_limit` (`float`, defaults to `4`): seconds for each test, by the clock;
        - `memory_limit_mb` (`int`, defaults to `512`): of each process;
        - `partial_credit` (`bool`, defaults to `false`): the share of tests that pass, rather than whether all do;
        - `allow_unsafe` (`bool`, defaults to `false`): run without a sandbox, with all that the user may do. A run
          wants `R1_TRL_ALLOW_UNSAFE=1` in its environment too: a dataset alone does not decide that.

    It returns `bool`; `float` for partial credit; `None` when `args` do not say what is to be tested.

    Source: paper, section 2 (rule-based accuracy reward: a compiler and test cases).

    >>> double = {"tests": [{"input": "2", "output": "4"}, {"input": "5", "output": "10"}]}
    >>> verify_code("```python\nprint(2 * int(input()))\n```", "-", double)
    True
    >>> verify_code("print(4)", "-", double), verify_code("print(4)", "-", {**double, "partial_credit": True})
    (False, 0.5)
    """

    def __call__(self, answer: str, solution: str, args: dict[str, Any] | None = None) -> bool | float | None:
        del solution
        try:
            row = read_row(args)
        except RowError as error:
            return because(None, str(error))
        source = find_program(answer, LANGUAGES[row.language].fences)
        if source is None:
            return because(False, f"no program in {row.language}: no closed fence of that language")
        try:
            program = source.encode()
        except UnicodeEncodeError:
            return because(False, "the program is no Unicode")
        if len(program) > MAX_BYTES:
            return because(False, f"the program is longer than {MAX_BYTES // 1024} KiB")
        files = {**row.files, row.source_file: program}
        if LANGUAGES[row.language].compile:
            compiled = compile_program(LANGUAGES[row.language], program, row.unsafe)
            if compiled.outcome != "ok":
                return because(False, f"does not compile: {_why(compiled, COMPILE_LIMITS)}")
            files = {**row.files, "program": compiled.stdout}
        return _grade(row, row.command or run_command(row.language, program), files)

    def check(self, args: dict[str, Any] | None) -> None:
        """Tries the sandbox and the compiler that a row needs.

        Raises:
            [`~r1_trl.errors.InputError`]: One of them does not work here; or the row asks for `allow_unsafe`, and the
                environment has no `R1_TRL_ALLOW_UNSAFE=1`.
        """
        try:
            row = read_row(args)
        except RowError:
            return  # a matter of the row, and told there
        if row.unsafe:
            if os.environ.get(CONSENT) != "1":
                raise InputError(
                    "`verifier_args` of a row have `allow_unsafe`, which runs its programs with all that you may do: "
                    f"set {CONSENT}=1 in the environment if you mean that, otherwise leave `allow_unsafe` out"
                )
            require_linux()
        else:
            check_sandbox()
        check_compiler(row.language, row.unsafe)

    def seconds(self, args: dict[str, Any] | None) -> float:
        """How long one call can take at most, by its own limits.

        >>> verify_code.seconds({"tests": [{"input": "", "output": ""}] * 10, "time_limit": 2})
        121.0
        """
        try:
            row = read_row(args)
        except RowError:
            return 1.0
        compiling = COMPILE_SECONDS if LANGUAGES[row.language].compile else 0.0
        return 1.0 + compiling + len(row.tests) * (START_SECONDS + row.limits.seconds)


def _grade(row: CodeRow, command: Sequence[str], files: dict[str, bytes]) -> bool | float:
    earned, passed, first_problem = 0.0, 0, ""
    with Sandbox(command, files, row.limits, row.unsafe) as sandbox:
        for number, test in enumerate(row.tests, start=1):
            run = sandbox.run(test.stdin)
            share, problem = test.judge(run) if run.outcome == "ok" else (0.0, _why(run, row.limits))
            problem = "".join(sign if sign.isprintable() else " " for sign in problem)  # it may quote the program
            earned, passed = earned + share, passed + (not problem)
            if problem and not first_problem:
                first_problem = f"test {number} of {len(row.tests)}: {problem}"
                if not row.partial_credit:
                    return because(False, first_problem)
    reason = f"{passed} of {len(row.tests)} tests passed" + (f"; {first_problem}" if first_problem else "")
    return because(earned / len(row.tests) if row.partial_credit else True, reason)


def _why(run: Run, limits: Limits) -> str:
    """What went wrong, for a person."""
    if run.outcome == "time limit":
        return f"time limit of {limits.seconds:g} s"
    if run.outcome == "memory limit":
        return f"memory limit of {limits.memory_mb} MB"
    if run.exit_code is None:
        return run.outcome
    if run.exit_code > 128:
        number = run.exit_code - 128
        return f"ended by signal {signal.Signals(number).name if number in set(signal.Signals) else number}"
    lines = run.stderr.decode(errors="replace").strip().splitlines()
    # A compiler's first error is the one to know, and the last line of a traceback.
    telling = [line for line in lines if " error: " in line][:1] or lines[-1:]
    return f"exit code {run.exit_code}" + "".join(f": {line[:200]}" for line in telling)


verify_code = CodeVerifier()
