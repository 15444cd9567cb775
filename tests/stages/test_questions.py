"""Which questions a stage samples answers to: the side that is held out or the other, and of each source its share."""

from __future__ import annotations

import json

import pytest
from trl import ScriptArguments

from r1_trl.errors import InputError
from r1_trl.stages.questions import load_questions
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.questions import is_held_out, question_of


def write(path, name, count):
    rows = [{"prompt": f"{name} : {n} + 1", "solution": str(n + 1)} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / f"{name}.jsonl", name, count) for name, count in (("large", 60), ("small", 30))]


def load(held_out, num_questions=None, dataset_name=None, **mixture):
    script_args, mixture_args = ScriptArguments(dataset_name=dataset_name), R1DatasetMixtureConfig(**mixture)
    return load_questions(script_args, mixture_args, num_questions, "evaluate", held_out=held_out)


@pytest.mark.parametrize("alone", [True, False], ids=["dataset_name", "datasets"])
def test_a_share_that_is_held_out(files, alone):
    data = {"dataset_name": files[0]} if alone else {"datasets": [{"path": file} for file in files]}
    held_out, trained = load(True, test_split_size=0.3, **data), load(False, test_split_size=0.3, **data)
    assert all(is_held_out(question_of(row), 0.3) for row in held_out)
    assert not any(is_held_out(question_of(row), 0.3) for row in trained)
    assert len(held_out) + len(trained) == (60 if alone else 90)


def test_a_share_of_the_split_to_train_on():
    """What `r1-trl grpo` with the same settings leaves out."""
    held_out = load(True, dataset_name="miniature:questions", test_split_size=0.1)
    assert 700 < len(held_out) < 940  # of 8,192
    assert len(load(True, dataset_name="miniature:questions")) == 1024


def test_a_split_that_is_held_out():
    entry = {"path": "miniature:questions", "test_split": "validation"}
    assert len(load(True, datasets=[entry])) == 64
    assert len(load(False, datasets=[entry])) == 8192


@pytest.mark.parametrize("held_out", [True, False])
def test_where_nothing_is_held_out_there_is_one_side(files, held_out):
    assert len(load(held_out, datasets=[{"path": file} for file in files])) == 90


def test_nothing_is_held_out_by_chance(tmp_path):
    file = write(tmp_path / "rows.jsonl", "few", 2)
    for streaming in (False, True):
        with pytest.raises(InputError, match="`datasets` has no row in the held-out side"):
            load(True, datasets=[{"path": file}], test_split_size=1e-9, streaming=streaming)


def test_each_source_gives_its_share(files):
    rows = load(True, 9, datasets=[{"path": file} for file in files])
    assert rows["prompt"][:] == [f"large : {n} + 1" for n in range(6)] + [f"small : {n} + 1" for n in range(3)]
    assert len(load(True, 900, datasets=[{"path": file} for file in files])) == 90
    assert load(True, 2, dataset_name=files[0])["prompt"][:] == ["large : 0 + 1", "large : 1 + 1"]


def test_streams_that_follow_one_another_have_no_shares(files):
    datasets = [{"path": file} for file in files]
    with pytest.raises(InputError, match=r"`num_questions` with `streaming`.* of the first one"):
        load(True, 9, datasets=datasets, streaming=True)
    assert len(load(True, 9, datasets=datasets[:1], streaming=True)) == 9
    weighted = [{**entry, "weight": 1} for entry in datasets]
    assert len(set(load(False, 20, datasets=weighted, streaming=True)["source"])) == 2
