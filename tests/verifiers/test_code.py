"""The code verifier: which programs pass, which do not and why, and which rows cannot be graded."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl.errors import InputError
from r1_trl.verifiers import bubblewrap, program
from r1_trl.verifiers.code import verify_code
from r1_trl.verifiers.code_tests import CallTest, OutputTest, UnitTests, same_value
from r1_trl.verifiers.grading import Grader, Row
from r1_trl.verifiers.program import LANGUAGES, find_program
from r1_trl.verifiers.reason import take_reason
from r1_trl.verifiers.sandbox import Run
from tests.verifiers.test_sandbox import needs_sandbox, none_left

DOUBLE = {"tests": [{"input": "2\n", "output": "4\n"}, {"input": "5", "output": "10"}], "time_limit": 5}
CPP = {**DOUBLE, "language": "cpp"}
ADD = {"function": "add", "tests": [{"args": [1, 2], "expected": 3}, {"args": ["a", "b"], "expected": "ab"}]}
UNIT_TESTS = """
import unittest
from solution import add

class TestAdd(unittest.TestCase):
    def test_small(self):
        self.assertEqual(add(1, 2), 3)

    def test_text(self):
        self.assertEqual(add("a", "b"), "ab")

def test_lists():
    assert add([1], [2]) == [1, 2]
"""
UNITS = {"unit_tests": UNIT_TESTS, "time_limit": 5}
QUICK = {**DOUBLE, "time_limit": 0.3}
RIGHT = "print(2 * int(input()))"


def fenced(source: str, name: str = "python") -> str:
    return f"Here it is.\n```{name}\n{source}\n```\nIt doubles."


def one(expected: str) -> dict:
    return {"tests": [{"input": "", "output": expected}]}


def call(expected: object) -> dict:
    return {"function": "add", "tests": [{"args": [1, 0], "expected": expected}]}


# (answer, args, verdict, reason)
OUTPUT_VERDICTS = [
    (RIGHT, DOUBLE, True, "2 of 2 tests passed"),
    (fenced(RIGHT), DOUBLE, True, "2 of 2 tests passed"),
    (fenced("print(4)") + fenced(RIGHT, "py"), DOUBLE, True, "2 of 2 tests passed"),  # the last block
    (fenced(RIGHT) + "It prints\n```\n4\n```", DOUBLE, True, "2 of 2 tests passed"),  # an example is no program
    (fenced(RIGHT, ""), DOUBLE, True, "2 of 2 tests passed"),
    (fenced(RIGHT) + fenced("int main() {}", "cpp"), DOUBLE, True, "2 of 2 tests passed"),
    (r"print(str(2 * int(input())) + ' \n\n')", DOUBLE, True, "2 of 2 tests passed"),  # white space at the end
    ("import sys\nsys.stdout.write(str(2 * int(sys.stdin.read())))", DOUBLE, True, "2 of 2 tests passed"),
    ("print(2 * int(open('/dev/stdin').read()), file=open('/dev/stdout', 'w'))", DOUBLE, True, "2 of 2 tests passed"),
    (RIGHT + "\nexit()", DOUBLE, True, "2 of 2 tests passed"),  # comes from site-packages' module, which is not loaded
    ("def main():\n  print(2 * int(input()))\nif __name__ == '__main__': main()", DOUBLE, True, "2 of 2 tests passed"),
    ("import __main__\nx = 2\nprint(__main__.x * int(input()))", DOUBLE, True, "2 of 2 tests passed"),
    (
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\n"
        "def f(n): return n and 1 + f(n - 1)\ndef main(): print(2 * int(input()) + 0 * f(50_000))\n"
        "thread = threading.Thread(target=main)\nthread.start()\nthread.join()",
        DOUBLE,
        True,
        "2 of 2 tests passed",
    ),
    ("print(4)", DOUBLE, False, "test 2 of 2: line 1 of its output is '4' instead of '10'"),
    ("print(' ', 2 * int(input()))", DOUBLE, False, "line 1 of its output"),  # white space in front counts
    (RIGHT + "\nprint(1)", DOUBLE, False, "test 1 of 2: its output has 2 lines instead of 1"),
    ("pass", DOUBLE, False, "test 1 of 2: its output has 0 lines instead of 1"),
    (RIGHT + "\nraise ValueError('late')", DOUBLE, False, "test 1 of 2: exit code 1: ValueError: late"),
    (RIGHT + "\nimport os; os.abort()", DOUBLE, False, "test 1 of 2: ended by signal SIGABRT"),
    ("print(2 *", DOUBLE, False, "SyntaxError"),
    ("print(sys.argv)", DOUBLE, False, "NameError"),  # what the runner has imported is not there
    ("while True: pass", QUICK, False, "test 1 of 2: time limit of 0.3 s"),
    (RIGHT + "\nimport time; time.sleep(9)", QUICK, False, "test 1 of 2: time limit"),  # right, but never done
    ("bytearray(1 << 27)", {**DOUBLE, "memory_limit_mb": 100}, False, "test 1 of 2: memory limit of 100 MB"),
    ("while True: print('x' * 10_000)", DOUBLE, False, "test 1 of 2: output limit"),
    ("import numpy", DOUBLE, False, "ModuleNotFoundError"),  # the standard library alone
    ("import r1_trl", DOUBLE, False, "ModuleNotFoundError"),
    (r"import sys; sys.stdout.buffer.write(b'\xff')", DOUBLE, False, "its output is no UTF-8"),
    ("", DOUBLE, False, "no program in python"),
    (fenced(RIGHT, "cpp"), DOUBLE, False, "no program in python"),
    ("```python\n" + RIGHT, DOUBLE, False, "no program in python"),  # cut off
    ("\ud800", DOUBLE, False, "the program is no Unicode"),
    ("x = 1\0", DOUBLE, False, "null bytes"),
    ("#" * 70_000, DOUBLE, False, "longer than 64 KiB"),
    ("(" * 60_000, DOUBLE, False, "test 1 of 2"),
    # by lists, as in datasets
    (RIGHT, {"inputs": ["2", "5"], "outputs": ["4", "10"]}, True, "2 of 2 tests passed"),
    (RIGHT, {"inputs": [["2", "7"]], "outputs": [["4"]], "fn_name": None}, True, "1 of 1 tests passed"),
    ("print(4)", {"inputs": ["2", "5"], "outputs": ["4", "10"]}, False, "test 2 of 2"),
    # an output that is the beginning of the right one
    ("print(1)", one("1\n2\n"), False, "its output has 1 lines instead of 2"),
    ("print(1, end='')", one("12"), False, "is '1' instead of '12'"),
    ("print(1)\nprint(2)", one("1\n2\n"), True, "1 of 1 tests passed"),
    ("print('x' * 3_000_000)", one("x" * 3_000_000), True, "1 of 1 tests passed"),
    # a report that the run has ended, while it goes on
    (r"import time; open('/proc/1/fd/1', 'w').write('0 \n'); time.sleep(9)", QUICK, False, "test 1 of 2"),
]
# (answer, args, verdict, reason)
CALL_VERDICTS = [
    ("def add(a, b): return a + b", ADD, True, "2 of 2 tests passed"),
    ("class Solution:\n  def add(self, a, b): return a + b", ADD, True, "2 of 2 tests passed"),
    ("def add(a, b):\n  print('debugging')\n  return a + b", ADD, True, "2 of 2 tests passed"),
    ("def add(a, b): return float(3) if a == 1 else 'ab'", ADD, True, "2 of 2 tests passed"),  # by value
    ("def add(a, b): return (a, b)", call([1, 0]), True, "1 of 1 tests passed"),
    ("def add(a, b): return {1: a}", call({"1": 1}), True, "1 of 1 tests passed"),
    ("def add(a, b): return 3", ADD, False, "test 2 of 2: it returned '3' instead of 'ab'"),
    ("def add(a, b): return True", call(1), False, "it returned 'true' instead of '1'"),
    ("def add(a, b): return float('nan')", ADD, False, "it returned"),
    ("def add(a, b): return object()", ADD, False, "not JSON serializable"),
    ("def add(a): return 3", ADD, False, "TypeError"),
    ("def sub(a, b): return a - b", ADD, False, "no attribute 'add'"),
    ("raise SystemExit(0)", ADD, False, "nothing that can be compared"),
    ("import os\nos.write(1, b'[' * 100_000); os._exit(0)", ADD, False, "nothing that can be compared"),
    ("def add(a, b): return '[' * 100_000", ADD, False, "instead of"),
    ("def add(a, b):\n  r = []\n  for _ in range(10**5): r = [r]\n  return r", ADD, False, "RecursionError"),
    ("def add(a, b): return a + b", {"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [[3], 7]}, True, "2 of"),
    ("def add(a, b): return [a, b]", {"fn_name": "add", "inputs": ['1\n"x"'], "outputs": ['[1, "x"]']}, True, "1 of"),
]
# (answer, args, verdict, reason)
UNIT_TEST_VERDICTS = [
    ("def add(a, b): return a + b", UNITS, True, "1 of 1 tests passed"),
    ("add = lambda a, b: a + b\nprint('noise')", UNITS, True, "1 of 1 tests passed"),
    ("def add(a, b): return 3", UNITS, False, "TestAdd.test_text"),
    ("def add(a, b): return 'ab' if a == 'a' else 3", UNITS, False, "test_lists: AssertionError"),
    ("def add(a, b): exit()", UNITS, False, "SystemExit"),
    ("x = 1", UNITS, False, "exit code 1: ImportError"),
    ("def add(a, b): raise RuntimeError('no')", UNITS, False, "RuntimeError: no"),
    ("while True: pass", {**UNITS, "time_limit": 0.3}, False, "time limit of 0.3 s"),
    # programs that leave early, or tell a result of their own
    ("raise SystemExit(0)", UNITS, False, "the program left before the tests were done"),
    ("import os; os._exit(0)", UNITS, False, "the program left before the tests were done"),
    ("def add(a, b):\n  import os; os._exit(0)", UNITS, False, "the program left before the tests were done"),
    (
        "import json, os\nreport = json.dumps({'nonce': '0' * 32, 'ran': 3, 'failed': []}).encode()\n"
        "for fd in range(3, 20):\n  try: os.write(fd, report)\n  except OSError: continue\n  os._exit(0)",
        UNITS,
        False,
        "the program left before the tests were done",
    ),
    (
        "import unittest\nadd = print\nclass Mine(unittest.TestCase):\n  def test_mine(self): pass\n"
        "def load_tests(*args): return unittest.defaultTestLoader.loadTestsFromTestCase(Mine)",
        {**UNITS, "unit_tests": UNIT_TESTS.replace("import add", "import *")},
        False,
        "TestAdd.test_small",
    ),
]


@needs_sandbox
@pytest.mark.parametrize(
    ("answer", "args", "verdict", "reason"),
    OUTPUT_VERDICTS + CALL_VERDICTS + UNIT_TEST_VERDICTS,
    ids=lambda value: ascii(value)[:40],
)
def test_verdicts(answer, args, verdict, reason):
    take_reason()
    found, why = verify_code(answer, "-", args), take_reason()
    assert found is verdict, why
    assert reason in why


CPP_RIGHT = "#include <bits/stdc++.h>\nint main() { int n; std::cin >> n; std::cout << 2 * n << std::endl; }"
CPP_DEEP = """#include <cstdio>
int f(int n) { volatile char pad[64] = {}; return n ? f(n - 1) + pad[n % 64] : 0; }
int main() { int n; scanf("%d", &n); printf("%d", 2 * n + f(200000)); }"""
# (answer, verdict, reason)
CPP_VERDICTS = [
    (fenced(CPP_RIGHT, "cpp"), True, "2 of 2 tests passed"),
    (fenced('#include <cstdio>\nint main() { puts("4"); }', "c++"), False, "test 2 of 2: line 1 of its output is '4'"),
    (CPP_DEEP, True, "2 of 2 tests passed"),
    ("int main() { foo(); }", False, "does not compile: exit code 1: ../program/program.cpp:1:14: error"),
    ("int main() { return 3; }", False, "test 1 of 2: exit code 3"),
    ("int main() { int *p = 0; *p = 1; }", False, "test 1 of 2: ended by signal"),
    ('#include "/dev/urandom"', False, "does not compile"),
    ('#include "/etc/passwd"', False, "No such file"),
    ("template<int n> struct A { A<n + 1> a; }; A<0> a;", False, "does not compile"),
    (fenced(RIGHT), False, "no program in cpp"),
]


@needs_sandbox
@pytest.mark.parametrize(("answer", "verdict", "reason"), CPP_VERDICTS, ids=lambda value: ascii(value)[:40])
def test_cpp(answer, verdict, reason):
    take_reason()
    found, why = verify_code(answer, "-", CPP), take_reason()
    assert found is verdict, why
    assert reason in why


@needs_sandbox
def test_cpp_is_compiled_once(monkeypatch):
    compiled = []

    def compile_program(*args):
        compiled.append(args)
        return program.compile_program(*args)

    monkeypatch.setattr("r1_trl.verifiers.code.compile_program", compile_program)
    assert verify_code(CPP_RIGHT, "-", {**CPP, "tests": DOUBLE["tests"] * 5}) is True
    assert len(compiled) == 1


# A program that is the same user as the shell, process 1, can open the shell's pipes, for orders and for reports.
_TAMPERING = """
import os, threading, time
def attempt(action, *args):
    try:
        return action(*args)
    except OSError:
        return None
def links(process):
    names = attempt(os.listdir, f"/proc/{process}/fd") or []
    return {path: attempt(os.readlink, path) for path in (f"/proc/{process}/fd/{name}" for name in names)}
own = set(links("self").values())
shells = [path for path, target in links(1).items() if target not in own]
def forge():
    for path in shells:
        fd = attempt(os.open, path, os.O_WRONLY)
        fd is not None and os.write(fd, b"0 \\n")
def fill(path, data, flags=os.O_NONBLOCK):
    fd = attempt(os.open, path, os.O_WRONLY | flags)
    while fd is not None and attempt(os.write, fd, data):
        pass
def steal(path, data):
    fd = attempt(os.open, path, os.O_RDWR | os.O_NONBLOCK)
    while fd is not None:
        attempt(os.write, fd, data)
        attempt(os.read, fd, 65536)
def in_threads(action, *lists):
    for args in zip(*lists):
        threading.Thread(target=action, args=args).start()
"""
# (what it does, source)
TAMPERING = [
    ("reads its own output", "steal('/proc/self/fd/1', b'x')"),
    ("reads its own errors", "steal('/proc/self/fd/2', b'x')"),
    ("reads and fills its input", "steal('/proc/self/fd/0', b'x' * 65536)"),
    ("fills its input", "fill('/proc/self/fd/0', b'x')"),
    ("reads orders and reports", "in_threads(steal, shells, [b'0 '] * 9)"),
    ("fills orders and reports", "in_threads(fill, shells, [b'\\n' * 4096] * 9)"),
    ("fills them with reports", "in_threads(fill, shells, [b'0 \\n'] * 9)"),
    ("forges a report", "forge(); time.sleep(9)"),
    ("forges a report, and goes on with the next input", "forge()\nwhile True: os.read(0, 9)"),
    (
        "makes the reader of left input wait",
        "for fd in range(3, 256): attempt(os.set_blocking, fd, True)\n"
        "os.open('/proc/self/fd/0', os.O_WRONLY)\nforge()\ntime.sleep(9)",
    ),
    (
        "gives the reader of left input no end",
        "in_threads(fill, ['/proc/self/fd/0'] * 4, [b'x' * 65536] * 4, [0] * 4)\ntime.sleep(0.1)\nforge()",
    ),
]


@needs_sandbox
@pytest.mark.parametrize(("what", "source"), TAMPERING, ids=[case[0] for case in TAMPERING])
def test_tampering_gains_nothing(what, source):
    start = time.monotonic()
    args = {"tests": [{"input": "x" * 100_000, "output": "right"}] * 3, "partial_credit": True, "time_limit": 0.3}
    assert verify_code(_TAMPERING + source, "-", args) == 0.0, what
    assert time.monotonic() - start < 5


# --- partial credit


@needs_sandbox
def test_partial_credit():
    tests = [{"input": str(number), "output": str(2 * number)} for number in range(5)]
    args = {"tests": tests, "partial_credit": True, "time_limit": 1}
    assert verify_code(RIGHT, "-", args) == 1.0
    assert verify_code("print(4)", "-", args) == 0.2
    assert take_reason() == "1 of 5 tests passed; test 1 of 5: line 1 of its output is '4' instead of '0'"
    slow = "n = int(input())\nwhile n == 2: pass\nprint(2 * n)"
    assert verify_code(slow, "-", args) == 0.8  # those after the one that was killed count
    assert verify_code("print(", "-", args) == 0.0
    assert verify_code("", "-", args) is False
    mine = "import unittest\nclass Mine(unittest.TestCase):\n  def test_mine(self): pass\nadd = print"
    star = {"unit_tests": UNIT_TESTS.replace("import add", "import *"), "partial_credit": True}
    assert verify_code(mine, "-", star) == 0.0  # tests that the program brings do not count
    share = verify_code("def add(a, b): return 3 if a == 1 else 'ab'", "-", {**UNITS, "partial_credit": True})
    assert share == pytest.approx(2 / 3)


@needs_sandbox
def test_without_partial_credit_it_stops_at_the_first_failure(monkeypatch):
    runs = []
    judge = OutputTest.judge
    monkeypatch.setattr(OutputTest, "judge", lambda test, run: runs.append(run) or judge(test, run))
    assert verify_code("print(4)", "-", {"tests": DOUBLE["tests"] * 5}) is False
    assert len(runs) == 2


# --- rows

# (verifier_args, reason)
UNGRADABLE = [
    (None, "need one of tests, inputs, unit_tests, and have none"),
    ({}, "and have none"),
    ({"tests": []}, "tests must be a list of at least one test"),
    ({"tests": "1"}, "tests must be a list"),
    ({"tests": [{"input": "1"}]}, "test 1 needs input and output"),
    ({"tests": [{"input": 1, "output": "1"}]}, "must be text"),
    ({"tests": [{"input": "\ud800", "output": "1"}]}, "without lone surrogates"),
    ({"test": [{"input": "1", "output": "1"}]}, "no key 'test'; did you mean 'tests'?"),
    ({**DOUBLE, "unit_tests": "x"}, "have tests and unit_tests"),
    ({"inputs": ["1", "2"], "outputs": ["1"]}, "2 inputs need as many outputs, not 1"),
    ({"inputs": ["1"]}, "1 inputs need as many outputs, not none"),
    ({"function": "add", "tests": [{"input": "1", "output": "1"}]}, "test 1 needs args and expected"),
    ({"function": "add", "tests": [{"args": 1, "expected": 1}]}, "args must be a list"),
    ({"function": "a.b", "tests": [{"args": [], "expected": 1}]}, "function 'a.b' is no name"),
    ({"function": "add", "inputs": ["1 2"], "outputs": ["3"]}, "must be JSON"),
    ({"function": "add", "inputs": [1], "outputs": [3]}, "list of arguments"),
    ({**ADD, "language": "cpp"}, "calls and unit tests are for Python"),
    ({**DOUBLE, "language": "rust"}, "language 'rust' is not among python, cpp"),
    ({**DOUBLE, "language": ["python"]}, "is not among"),
    ({**DOUBLE, "time_limit": 0}, "time_limit must be a number above 0, got 0"),
    ({**DOUBLE, "time_limit": "4"}, "time_limit must be a number"),
    ({**DOUBLE, "time_limit": float("nan")}, "time_limit must be a number"),
    ({**DOUBLE, "memory_limit_mb": True}, "memory_limit_mb must be a number"),
    ({**DOUBLE, "partial_credit": "yes"}, "partial_credit must be true or false"),
    ({**DOUBLE, "allow_unsafe": 1}, "allow_unsafe must be true or false"),
    ({"unit_tests": "def test(:"}, "unit_tests are no Python"),
    ({"unit_tests": "assert True"}, "no function or method whose name starts with test"),
    ({"unit_tests": 1}, "must be the text of a Python file"),
    ({"unit_tests": "def test(): '\ud800'"}, "unit_tests are no Python"),
]


@pytest.mark.parametrize(("args", "reason"), UNGRADABLE, ids=lambda value: ascii(value)[:60])
def test_rows_that_cannot_be_graded(args, reason):
    take_reason()
    assert verify_code(RIGHT, "-", args) is None
    assert reason in take_reason()
    verify_code.check(args)  # told row by row, and not in the way of a run
    assert verify_code.seconds(args) > 0


def test_seconds():
    assert verify_code.seconds(DOUBLE) == 1 + 2 * (10 + 5)
    assert verify_code.seconds(CPP) == verify_code.seconds(DOUBLE) + 20 + 10
    assert verify_code.seconds(UNITS) == 1 + 10 + 5


# --- programs in answers

# (answer, program, reason)
PROGRAMS = [
    ("x", "x", "bare"),
    ("```py\nx\n```", "x\n", "fenced"),
    ("```PYTHON\nx\n```", "x\n", "in capitals"),
    ("```python title=x\nx\n```", "x\n", "with more behind the language"),
    ("  ```py\nx\n  ```", "x\n", "indented a little"),
    ("~~~py\nx\n~~~", "x\n", "with tildes"),
    ("````py\n'''\n```\n'''\n````", "'''\n```\n'''\n", "with a fence inside"),
    ("```py\r\nx\r\n```", "x\n", "with Windows' line ends"),
    ("```py\nx\n```\n```py\ny\n```", "y\n", "the last"),
    ("```py\nx\n```\n```\ny\n```", "x\n", "named before unnamed"),
    ("```\nx\n```\n```text\ny\n```", "x\n", "unnamed before another language"),
    ("```py\nx\n```\n```py\ny", "x\n", "a closed one before one that is cut off"),
    ("```py\n```", "", "empty"),
    ("```text\nx\n```", None, "another language"),
    ("```py\nx", None, "cut off"),
    (" \n", None, "nothing"),
]


@pytest.mark.parametrize(("answer", "expected", "reason"), PROGRAMS)
def test_find_program(answer, expected, reason):
    assert find_program(answer, LANGUAGES["python"].fences) == expected, reason


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["```", "~~~", "````", "py", "python", "\n", "x", " ", "\0", "\ud800"])).map("".join))
def test_any_answer_has_a_program_or_none(answer):
    found = find_program(answer, ["py", "python"])
    assert found is None or isinstance(found, str)


# --- comparing

# (expected, found, same)
OUTPUTS = [
    ("a\nb\n", "a\nb", True),
    ("a\nb", "a  \nb\t\n\n", True),
    ("a\r\nb", "a\nb", True),
    ("", "\n", True),
    ("a\n\nb", "a\nb", False),
    ("\na", "a", False),
    ("a", " a", False),
    ("a b", "a  b", False),
    ("a", "A", False),
    ("a\nb", "a", False),
    ("a", "a\nb", False),
    ("", "a", False),
    ("a", "", False),
    ("1.0", "1", False),
    ("a\x0bb", "a\nb", False),
]


@pytest.mark.parametrize(("expected", "found", "same"), OUTPUTS)
def test_outputs(expected, found, same):
    run = Run(found.encode(), b"", 0, 0.0, "ok")
    assert (OutputTest(b"", expected).judge(run)[0] == 1.0) is same


# (one, other, same)
VALUES = [
    (1, 1.0, True),
    (0.1 + 0.2, 0.3, True),
    (1, 1.001, False),
    (10**400, 1.0, False),
    (10**20, 10**20 + 1, False),
    (float("nan"), float("nan"), False),
    (float("inf"), float("inf"), True),
    (True, 1, False),
    (0, False, False),
    (None, 0, False),
    (None, None, True),
    ("1", 1, False),
    ([1, [2]], [1.0, [2.0]], True),
    ([1, 2], [2, 1], False),
    ([1], [1, 2], False),
    ([], {}, False),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": 1, "b": 1}, False),
]


@pytest.mark.parametrize(("one", "other", "same"), VALUES)
def test_values(one, other, same):
    assert same_value(one, other) is same is same_value(other, one)


# what a program may send in place of a report, where it has found the nonce
REPORTS = [
    b"",
    b"\xff",
    b"[]",
    b"1",
    b"{}",
    b'{"nonce": []}',
    b'{"nonce": "n", "ran": 1}',
    b'{"nonce": "n", "ran": Infinity, "failed": []}',
    b'{"nonce": "n", "ran": NaN, "failed": []}',
    b'{"nonce": "n", "ran": -1, "failed": []}',
    b'{"nonce": "n", "ran": 1, "failed": 1}',
    b'{"nonce": "n", "ran": 1, "failed": [1]}',
    b'{"nonce": "n", "ran": 1, "failed": [["a", "b", "c"]]}',
    b'{"nonce": "n", "ran": ' + b"9" * 5000 + b', "failed": []}',
    *(b"[" * depth + b"]" * depth for depth in range(100, 3000, 37)),
]


@pytest.mark.parametrize("report", REPORTS, ids=lambda value: ascii(value)[:50])
def test_any_report_is_judged(report):
    run = Run(report, b"", 0, 0.0, "ok")
    assert UnitTests(nonce="n").judge(run)[0] == 0.0
    assert CallTest("f", [], [[[1]]]).judge(run)[0] == 0.0


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(_json, _json)
def test_values_are_themselves(one, other):
    assert same_value(one, json.loads(json.dumps(one)))
    assert same_value(one, other) is same_value(other, one)


# --- before a run starts


@pytest.fixture
def consent(monkeypatch):
    monkeypatch.setenv("R1_TRL_ALLOW_UNSAFE", "1")


@needs_sandbox
@pytest.mark.parametrize("args", [DOUBLE, CPP, ADD, UNITS, {**CPP, "allow_unsafe": True}])
def test_check(args, consent):
    verify_code.check(args)


def test_a_dataset_alone_does_not_leave_the_sandbox(tmp_path):
    """Through the whole path of a run: the row asks, and the user did not."""
    args = json.dumps({**DOUBLE, "allow_unsafe": True})
    with pytest.raises(InputError, match="set R1_TRL_ALLOW_UNSAFE=1"):
        Grader(workers=1).grade([Row(f"open({str(tmp_path / 'out')!r}, 'w')", "-", "code", args)])
    assert not (tmp_path / "out").exists()


def test_check_without_bubblewrap(monkeypatch, consent):
    def missing():
        raise InputError("no bwrap")

    monkeypatch.setattr("r1_trl.verifiers.code.check_sandbox", missing)
    with pytest.raises(InputError, match="no bwrap"):
        verify_code.check(DOUBLE)
    verify_code.check({**DOUBLE, "allow_unsafe": True})


def test_check_without_a_compiler(monkeypatch, tmp_path, consent):
    program.check_compiler.cache_clear()
    monkeypatch.setattr(bubblewrap, "PATH", str(tmp_path))
    with pytest.raises(InputError, match=r'"language": "cpp" need the compiler g\+\+.*apt-get install g\+\+'):
        verify_code.check({**CPP, "allow_unsafe": True})
    program.check_compiler.cache_clear()


def test_without_a_sandbox_where_that_is_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    unsafe = {"allow_unsafe": True}
    assert verify_code(RIGHT, "-", {**DOUBLE, **unsafe}) is True
    assert verify_code(CPP_RIGHT, "-", {**CPP, **unsafe}) is True
    assert verify_code("print(4)", "-", {**DOUBLE, **unsafe, "partial_credit": True}) == 0.5
    assert verify_code("def add(a, b): return a + b", "-", {**UNITS, **unsafe}) is True
    assert none_left(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
