"""`r1-trl compare` on folders as `evaluate` writes them."""

import json

import pandas as pd
import pytest
from datasets import Dataset

from r1_trl.errors import InputError
from r1_trl.sampling import Sample
from r1_trl.stages.compare import main
from r1_trl.stages.evaluate import score_samples


def answer(text):
    return Sample(f"<think> so </think> <answer> {text} </answer>", 9, False)


def write_evaluation(folder, right, samples=4, source=None, temperature=0.6):
    """An evaluation of sums, with so many right answers to each."""
    rows = [
        {"prompt": [{"role": "user", "content": f"what is {number} + 1 ?"}], "solution": str(number + 1)}
        | ({"source": source[number]} if source else {})
        for number in range(len(right))
    ]
    answers = [
        [answer(number + 1)] * count + [answer(number + 7)] * (samples - count) for number, count in enumerate(right)
    ]
    folder.mkdir()
    table = score_samples(Dataset.from_list(rows), answers, [False] * len(rows), ["en"])
    table.to_parquet(folder / "samples.parquet")
    record = {"stage": "evaluate", "arguments": {"temperature": temperature}}
    (folder / "stage.json").write_text(json.dumps(record))
    return str(folder)


def test_what_a_person_reads(tmp_path, capsys):
    a = write_evaluation(tmp_path / "a", [0, 1, 2, 4, 3, 0], source=["sums"] * 3 + ["words"] * 3)
    b = write_evaluation(tmp_path / "b", [8, 4, 4, 8, 4, 0], samples=8, source=["sums"] * 3 + ["words"] * 3)
    main([a, b, "--show", "3"])
    printed = capsys.readouterr().out
    assert printed.splitlines()[3] == (
        "B is better by 0.167 ± 0.162 (95% interval -0.083 to 0.500), p = 0.75: it may well be chance"
    )
    assert (
        printed.partition("chance\n\n")[2]
        == """\
         questions      A      B   B - A      95% interval     p
all              6  0.417  0.583  +0.167  -0.083 to +0.500  0.75
  sums           3  0.250  0.667  +0.417  +0.000 to +1.000   0.5
  words          3  0.583  0.500  -0.083  -0.250 to +0.000     1

± is the standard error; p is two-sided, by all 8 patterns of signs of the questions' differences.

3 of 6 questions changed: 2 for the better, 1 for the worse.
right answers of A -> of B  gold  question
0/4 -> 8/8                  1     what is 0 + 1 ?
1/4 -> 4/8                  2     what is 1 + 1 ?
3/4 -> 4/8                  5     what is 4 + 1 ?
"""
    )


def test_the_file_holds_everything(tmp_path, capsys):
    a, b = write_evaluation(tmp_path / "a", [4] * 30), write_evaluation(tmp_path / "b", [0] * 29 + [4])
    main([a, b, "--show", "0", "--output", str(tmp_path / "out" / "comparison.json")])
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert (written["folder_a"], written["a"], written["b"]) == (a, 1.0, pytest.approx(1 / 30))
    assert written["p_value"] == 0.0001
    assert len(written["changed_questions"]) == 29
    assert written["changed_questions"][0] == {
        "question": "what is 0 + 1 ?",
        "solution": "1",
        "source": None,
        "change": -1.0,
        "right_a": 4,
        "samples_a": 4,
        "right_b": 0,
        "samples_b": 4,
    }
    printed = capsys.readouterr().out
    assert "A is better by 0.967" in printed
    assert "p = 0.0001\n" in printed
    assert "9,999 random patterns" in printed
    assert "what is" not in printed


def test_a_run_with_itself(tmp_path, capsys):
    a = write_evaluation(tmp_path / "a", [1, 2, 3])
    main([a, a])
    assert "A and B are equal: 0.000 ± 0.000 (95% interval 0.000 to 0.000), p = 1\n" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["file/out.json", "folder"])
def test_a_place_that_cannot_be_written(tmp_path, capsys, place):
    a = write_evaluation(tmp_path / "a", [1, 2, 3])
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"`--output .*` cannot be written: .*Name a file"):
        main([a, a, "--output", str(tmp_path / place)])
    assert "A and B are equal" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "file", "folder"]


def test_partial_credit_has_a_row_of_its_own(tmp_path, capsys):
    a, b = write_evaluation(tmp_path / "a", [4, 4]), write_evaluation(tmp_path / "b", [2, 4])
    file = tmp_path / "b" / "samples.parquet"
    table = pd.read_parquet(file)
    table.assign(correct=table["correct"].clip(lower=0.5)).to_parquet(file)
    main([a, b, "--output", str(tmp_path / "out.json")])
    rows = [line.split()[:6] for line in capsys.readouterr().out.splitlines()]
    assert ["all", "2", "1.000", "0.750", "-0.250", "-0.500"] in rows
    assert ["mean", "score", "2", "1.000", "0.875", "-0.125"] in rows
    assert json.loads((tmp_path / "out.json").read_text())["mean_score"]["b"] == 0.875


def test_a_flag_that_is_not_known():
    with pytest.raises(InputError, match=r"unrecognized arguments: --all\. See `r1-trl compare --help`"):
        main(["a", "b", "--all"])


def test_questions_of_one_alone(tmp_path, capsys):
    a, b = write_evaluation(tmp_path / "a", [1, 2, 3]), write_evaluation(tmp_path / "b", [2, 3], temperature=1.0)
    with pytest.raises(InputError, match="1 are only in the first"):
        main([a, b])
    main([a, b, "--common_only"])
    printed = capsys.readouterr().out
    assert "Left out: 1 questions (only in A)." in printed
    assert "They were sampled differently (A, B): temperature: 0.6, 1.0." in printed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", r"nowhere` is no folder of an evaluation: there is no .*samples\.parquet"),
        ("model", r"did you mean `.*model_evaluation`\?"),
        ("other", r"its stage\.json is not that of `evaluate`"),
    ],
)
def test_what_is_no_evaluation(tmp_path, name, message):
    a = write_evaluation(tmp_path / "model_evaluation", [1, 2])
    (tmp_path / "model").mkdir()
    (tmp_path / "other").mkdir()
    pd.DataFrame({"question": [0]}).to_parquet(tmp_path / "other" / "samples.parquet")
    with pytest.raises(InputError, match=message):
        main([a, str(tmp_path / name)])
