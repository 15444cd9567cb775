"""Verifiers: is this final answer right?

Stands between the parser and the accuracy reward. A verifier is `(answer, solution, args) -> bool | None`: the final
answer without tags, the gold, and what else it needs (the row's `verifier_args`, or `None`). `None` says that the gold
cannot be graded. A wrong, malformed or hostile answer is `False`; a verifier raises on bugs only. It may

- return a share from 0 to 1 where `verifier_args` ask for `partial_credit`;
- note why, by [`~r1_trl.verifiers.reason.because`];
- have a method `check(args)`, which raises [`~r1_trl.errors.InputError`] at the start of a run that it cannot serve;
- have a method `seconds(args) -> float`, its own bound on one call, which then is its deadline;
- have an attribute `equality` (`str`), the name of the verifier that tells whether two answers to a question are the
  same, called with one of them as `solution`: often its own. A vote counts such answers as one
  (`r1_trl/evaluation/consensus.py`). Without it, as where the verdict does not come from comparing with `solution`,
  answers are the same when their normalised text is.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias, cast

from r1_trl.errors import InputError, did_you_mean

Verifier: TypeAlias = Callable[[str, str, dict[str, Any] | None], bool | float | None]

# name -> "module:function", imported on first use: most runs need one verifier, and some bring heavy imports
_BUILT_IN = {
    "choice": "r1_trl.verifiers.choice:verify_choice",
    "code": "r1_trl.verifiers.code:verify_code",
    "exact": "r1_trl.verifiers.exact:verify_exact",
    "math": "r1_trl.verifiers.math:verify_math",
    "reasoning_gym": "r1_trl.verifiers.reasoning_gym:verify_reasoning_gym",
}


@cache
def get_verifier(name: str) -> Verifier:
    """The verifier behind a name.

    Args:
        name (`str`):
            A built-in name (`"math"`, `"choice"`, `"exact"`, `"code"`, `"reasoning_gym"`), or the dotted path of a
            function of yours, such as `my_pkg.my_module.my_verifier`. The current directory is on the path, as for
            TRL's `--reward_funcs`.

    Raises:
        [`~r1_trl.errors.InputError`]: If there is no such verifier.

    >>> get_verifier("math")("4", "4", None)
    True
    >>> get_verifier("maths")
    Traceback (most recent call last):
    r1_trl.errors.InputError: no verifier 'maths'; known: choice, code, exact, math, reasoning_gym; did you mean \
'math'? A verifier of your own goes by its dotted path, such as my_pkg.my_module.my_verifier
    """
    if name in _BUILT_IN:
        module, function = _BUILT_IN[name].split(":")
        return cast(Verifier, getattr(importlib.import_module(module), function))
    if "." not in name:
        hint = did_you_mean(name, _BUILT_IN)
        raise InputError(
            f"no verifier {name!r}; known: {', '.join(sorted(_BUILT_IN))}{hint} A verifier of your own goes by its "
            "dotted path, such as my_pkg.my_module.my_verifier"
        )
    return cast(Verifier, import_callable(name, "verifier"))


def import_callable(path: str, what: str) -> Callable[..., Any]:
    """Imports what a dotted path names; the current directory counts, as it does for TRL's `--reward_funcs`.

    Args:
        path (`str`): Such as `my_pkg.my_module.my_function`.
        what (`str`): What it is to be, for the message ("verifier", "reward").

    Raises:
        [`~r1_trl.errors.InputError`]: If the module is not there, has no such name, or the name cannot be called. An
        error inside the module is its own, and keeps its traceback.

    >>> import_callable("math.isclose", "verifier")
    <built-in function isclose>
    """
    module_path, _, name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")) or not module_path:
        raise InputError(f"no {what} {path!r}: a dotted path is made of names, such as my_pkg.my_module.my_{what}")
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_path)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_path + ".").startswith(error.name + "."):
            raise
        raise InputError(
            f"no {what} {path!r}: there is no module {error.name!r} (looked from {os.getcwd()})"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        hint = did_you_mean(name, vars(module), otherwise="")
        raise InputError(f"no {what} {path!r}: {module_path} has no function {name!r}{hint}")
    return cast(Callable[..., Any], found)
