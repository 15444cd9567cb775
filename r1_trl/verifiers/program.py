"""Programs in answers: found, and compiled where their language needs it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from r1_trl.errors import InputError
from r1_trl.verifiers import bubblewrap
from r1_trl.verifiers.sandbox import PYTHON_FLAGS, START_SECONDS, Limits, Run, Sandbox

MAX_BYTES = 64 * 1024  # of a program; those that people hand in to judges stay below it
COMPILE_LIMITS = Limits(seconds=20, memory_mb=2048, processes=16, file_mb=64, output_kb=64 * 1024)
COMPILE_SECONDS = COMPILE_LIMITS.seconds + START_SECONDS

# Programs use `exit`, which -S leaves out. Of what this code imports, the program must see no name.
_RUN_PYTHON = """
def _program():
    import builtins, sys
    builtins.exit = builtins.quit = sys.exit
    del sys.argv[0]
    with open(sys.argv[0], "rb") as file:
        return compile(file.read(), sys.argv[0], "exec")
exec(_program())
"""


@dataclass(frozen=True)
class Language:
    """How programs of a language are found and run. Paths are as in [`~r1_trl.verifiers.sandbox.Sandbox`].

    Args:
        fences (`tuple[str, ...]`): What may stand behind the three backticks.
        file (`str`): Name of the source file.
        run (`tuple[str, ...]`): The command.
        compile (`tuple[str, ...]`, *optional*): The command that makes a file `program` of it.
        smallest (`str`, *optional*): A program, to try the compiler with.
    """

    fences: tuple[str, ...]
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    smallest: str = ""


PYTHON = (bubblewrap.python_path(), *PYTHON_FLAGS)
LANGUAGES = {
    "python": Language(
        fences=("python", "py", "python3"),
        file="program.py",
        run=(*PYTHON, "-c", _RUN_PYTHON, "../program/program.py"),
    ),
    "cpp": Language(
        fences=("cpp", "c++", "cc", "cxx"),
        file="program.cpp",
        run=("../program/program",),
        compile=("g++", "-std=gnu++17", "-O2", "-o", "program", "../program/program.cpp"),
        smallest="#include <iostream>\nint main() {}\n",
    ),
}


def find_program(answer: str, fences: Sequence[str]) -> str | None:
    r"""The program in an answer: the last fenced block of the language; else the last without a language; else, where
    there is no fence at all, the answer itself. A block that is not closed is none: it may be cut off.

    Args:
        answer (`str`): The final answer, without tags.
        fences (`Sequence[str]`): The language's names, in lower case.

    >>> find_program("Like so:\n```py\nprint(1)\n```\nIt prints\n```\n1\n```", ["python", "py"])
    'print(1)\n'
    >>> find_program("print(1)", ["python"]), find_program("```cpp\nint x;\n```", ["python"])
    ('print(1)', None)
    """
    blocks: dict[str, str] = {}
    fence = name = ""
    lines: list[str] = []
    for line in answer.replace("\r\n", "\n").split("\n"):
        mark = re.match(r" {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)([^`]*)$", line)
        if not fence and mark:
            fence, name, lines = mark[1], mark[2].lower(), []
        elif fence and mark and mark[1].startswith(fence) and not mark[2] + mark[3].strip():
            blocks["" if name == "" else "named" if name in fences else "other"] = "".join(lines)
            fence = ""
        elif fence:
            lines.append(line + "\n")
    if not blocks and not fence:
        return answer if answer.strip() else None
    return blocks.get("named", blocks.get(""))


def run_command(language: str, program: bytes) -> tuple[str, ...]:
    """The command that runs a program. A Python program that names `exit` or `quit` is started in a way that gives it
    both, and takes a tenth longer.

    Args:
        language (`str`): Of [`LANGUAGES`].
        program (`bytes`): Its source.

    >>> run_command("python", b"print(4)")[-1], "-c" in run_command("python", b"exit()")
    ('../program/program.py', True)
    """
    if language == "python" and not re.search(rb"exit|quit", program):
        return (*PYTHON, "../program/program.py")
    return LANGUAGES[language].run


def compile_program(language: Language, source: bytes, unsafe: bool) -> Run:
    """Compiles in a sandbox of its own. The result is what the run printed."""
    command = ["sh", "-c", '"$@" && cat program', "sh", *language.compile]
    with Sandbox(command, {language.file: source}, COMPILE_LIMITS, unsafe) as sandbox:
        return sandbox.run()


@cache
def check_compiler(name: str, unsafe: bool) -> None:
    """Tries the compiler of a language once, if it has one.

    Raises:
        [`~r1_trl.errors.InputError`]: It is missing or does not work.
    """
    language = LANGUAGES[name]
    if not language.compile:
        return
    compiler = language.compile[0]
    if shutil.which(compiler, path=bubblewrap.PATH) is None:
        raise InputError(
            f'verifier_args with "language": "{name}" need the compiler {compiler}, and there is none in '
            f"{bubblewrap.PATH}: apt-get install {compiler} (Debian, Ubuntu), or the like"
        )
    run = compile_program(language, language.smallest.encode(), unsafe)
    if run.outcome != "ok":
        raise InputError(
            f'verifier_args with "language": "{name}" need the compiler {compiler}, and it does not work '
            f"({run.outcome}): {run.stderr.decode(errors='replace').strip()[-500:]}"
        )
