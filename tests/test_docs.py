"""The documentation tells the truth: its paths exist, its recipes parse, its examples run."""

import doctest
import re
from pathlib import Path

import pytest

from tests.stage_parsers import PARSERS

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "pages").glob("*.md"))

PATH = re.compile(r"`((?:r1_trl|tests|recipes)/[\w/]+\.\w+)(?:::(\w+))?`")


def blocks(language, first_line):
    """Fenced blocks of one language whose first line matches, as test parameters."""
    fence = re.compile(rf"^```{language}\n((?:{first_line}).*?)^```", re.MULTILINE | re.DOTALL)
    for page in [*PAGES, ROOT / "README.md"]:
        for number, match in enumerate(fence.finditer(page.read_text(encoding="utf-8"))):
            yield pytest.param(match[1], id=f"{page.name}-{number}")


CONFIGS = list(blocks("ya?ml", rf"# r1-trl (?:{'|'.join(PARSERS)})\b"))
DOCTESTS = list(blocks("python", ">>> "))


def test_paper_index_names_what_exists():
    index = (ROOT / "docs" / "pages" / "paper_index.md").read_text(encoding="utf-8")
    found = PATH.findall(index)
    assert len(found) > 50
    for path, name in found:
        assert (ROOT / path).is_file(), path
        defined = rf"^(?:def|class) {name}\b|^{name}(?:\b[^=\n]*|, .*)= "
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or re.search(defined, text, re.MULTILINE), f"{path} does not define {name}"


def test_there_are_examples():
    assert CONFIGS
    assert DOCTESTS


@pytest.mark.parametrize("config", CONFIGS)
def test_config_parses(config, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "")  # `env:` in a config sets it; this takes it back
    monkeypatch.setenv("JUDGE_API_KEY", "a key")
    path = tmp_path / "config.yaml"
    path.write_text(config, encoding="utf-8")
    header = config.splitlines()[0].removeprefix("# r1-trl ")
    stage = next(name for name in PARSERS if f"{header} ".startswith(f"{name} "))
    assert PARSERS[stage]().parse(["--config", str(path)])


@pytest.mark.parametrize("example", DOCTESTS)
def test_example_runs(example):
    test = doctest.DocTestParser().get_doctest(example, {}, "example", None, None)
    assert doctest.DocTestRunner().run(test).failed == 0


def how_to(module):
    """The names of a module that the page shows."""
    page = (ROOT / "docs" / "pages" / "how_to.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(rf"^```python\n# {module}\.py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1], names)
    return names


def test_the_reward_of_the_page():
    assert how_to("my_rewards")["short_answer"](completion_ids=[[0] * 200, [0] * 201]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("answer", "solution", "expected"),
    [("4.201", "4.2", True), ("4.3", "4.2", False), ("four", "4.2", False), ("4", "four", None)],
)
def test_the_verifier_of_the_page(answer, solution, expected):
    assert how_to("my_verifiers")["close"](answer, solution, None) is expected
