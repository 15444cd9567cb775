"""Whole checkpoints: which is taken, which is refused."""

from __future__ import annotations

import pytest

from r1_trl.checkpoints import MARK, find_checkpoint, whole_checkpoints
from r1_trl.errors import InputError


@pytest.fixture
def run(tmp_path):
    for step, whole in ((5, True), (10, True), (100, True), (105, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if whole:
            (folder / MARK).write_text("{}")
    return tmp_path


@pytest.mark.parametrize("value", ["true", "True", True, "last"])
def test_the_last_whole_one_is_taken(run, value):
    assert [folder.name for folder in whole_checkpoints(str(run))] == [
        "checkpoint-5",
        "checkpoint-10",
        "checkpoint-100",
    ]
    assert find_checkpoint(str(run), value) == str(run / "checkpoint-100")


def test_one_by_its_name(run):
    assert find_checkpoint(str(run), str(run / "checkpoint-5")) == str(run / "checkpoint-5")


def test_nothing_to_go_on_from_is_a_start(tmp_path):
    assert find_checkpoint(str(tmp_path / "new"), "true") is None
    (tmp_path / "checkpoint-3").mkdir()
    assert find_checkpoint(str(tmp_path), "true") is None  # half-written
    assert find_checkpoint(str(tmp_path), None) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ["has checkpoints", "checkpoint-100", "`resume_from_checkpoint: true`", "another folder"]),
        ("false", ["has checkpoints"]),
        ("{run}/checkpoint-105", ["no whole checkpoint", MARK, "`true`"]),
        ("{run}/checkpoint-7", ["no such folder"]),
    ],
)
def test_refused(run, value, words):
    with pytest.raises(InputError) as error:
        find_checkpoint(str(run), value and value.replace("{run}", str(run)))
    assert [word for word in words if word not in str(error.value)] == []
