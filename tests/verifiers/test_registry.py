"""Verifiers by name."""

from __future__ import annotations

import sys

import pytest

from r1_trl.errors import InputError
from r1_trl.verifiers import get_verifier
from r1_trl.verifiers.math import verify_math


def test_built_in_and_cached():
    assert get_verifier("math") is verify_math
    before = get_verifier.cache_info().hits
    get_verifier("math")
    assert get_verifier.cache_info().hits == before + 1


def test_dotted_path_from_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "their_verifiers.py").write_text("def same(answer, solution, args):\n    return answer == solution\n")
    (tmp_path / "broken_verifiers.py").write_text("import no_such_dependency\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert get_verifier("their_verifiers.same")("4", "4", None) is True
    get_verifier.cache_clear()
    get_verifier("their_verifiers.same")
    assert sys.path.count(str(tmp_path)) == 1
    with pytest.raises(InputError, match="did you mean 'same'"):
        get_verifier("their_verifiers.sane")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency") as error:
        get_verifier("broken_verifiers.same")
    assert not isinstance(error.value, InputError)  # their bug keeps its traceback


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maht", "no verifier 'maht'; known: choice, code, exact, math, reasoning_gym; did you mean 'math'?"),
        ("reward_model", "its dotted path, such as my_pkg.my_module.my_verifier"),
        ("no_such_package.verify", "there is no module 'no_such_package'"),
        ("math.tau", "math has no function 'tau'"),
        ("my pkg.verify", "made of names"),
        (".verify", "made of names"),
        ("", "no verifier ''"),
    ],
)
def test_mistakes_name_value_and_remedy(name, message):
    with pytest.raises(InputError) as error:
        get_verifier(name)
    assert message in str(error.value)
