"""The file of answers: whatever a kill leaves, it goes on without a duplicate or a gap."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.errors import InputError
from r1_trl.sampling.answer_file import AnswerFile, read_answers, run_path, sampled_seconds
from r1_trl.sampling.sampler import Sample

SETTINGS = {"temperature": 0.6, "seed": 42}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SAMPLES = st.lists(st.builds(Sample, TEXT, st.integers(0, 99), st.booleans()), max_size=6)


def write(path, samples, state=None, exact=False):
    with AnswerFile(path, SETTINGS, exact) as file:
        for number, sample in enumerate(samples):
            file.append((number, 0), sample, state if number % 2 else None)


@given(samples=SAMPLES, data=st.data())
def test_torn_at_any_byte(samples, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.jsonl"
        write(path, samples)
        content = path.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:cut])
        with AnswerFile(path, SETTINGS, exact=False) as file:
            left = len(file.answers)
            assert list(file.answers.values()) == samples[:left]
            assert content[:cut].count(b"\n") == left
            for number in range(left, len(samples)):
                file.append((number, 0), samples[number])
        assert path.read_bytes() == content


@given(samples=SAMPLES)
def test_only_what_has_a_state_counts_where_going_on_must_be_exact(samples):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.jsonl"
        write(path, samples, state="state", exact=True)
        with AnswerFile(path, SETTINGS, exact=True) as file:
            assert len(file.answers) == len(samples) // 2 * 2
            assert file.state == ("state" if len(samples) > 1 else None)
        assert read_answers(path)[1] == file.answers


@pytest.mark.parametrize("exact", [True, False])
def test_time_adds_up_over_starts(tmp_path, exact):
    path = tmp_path / "samples.jsonl"
    for number in range(3):
        with AnswerFile(path, SETTINGS, exact) as file:
            time.sleep(0.05)
            file.append((number, 0), Sample("4", 2, False), "state" if exact else None)
        assert 0.05 * (number + 1) <= sampled_seconds(path) < 10
    seconds = sampled_seconds(path)
    with AnswerFile(path, SETTINGS, exact):
        time.sleep(0.05)  # adds no answer
    assert sampled_seconds(path) == seconds
    assert json.loads(run_path(path).read_text())["state"] == ("state" if exact else None)


def test_answers_of_another_run(tmp_path):
    path = tmp_path / "samples.jsonl"
    write(path, [Sample("4", 2, False)])
    with (
        pytest.raises(InputError, match=r"samples\.jsonl .*another run: `temperature` was `0\.6` .* `0\.7` now"),
        AnswerFile(path, {**SETTINGS, "temperature": 0.7}, exact=False),
    ):
        pass
    assert len(read_answers(path)[1]) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json\n", ["line 1", "is no answer"]),
        ('{"question": 0}\n', ["line 1", "is no answer"]),
        ("[]\n", ["line 1"]),
        (
            '{"question": 0, "sample": 0, "completion": "", "num_tokens": 1, "truncated": false}\n' * 2,
            ["line 2", "two"],
        ),
    ],
    ids=["no JSON", "a missing key", "a list", "twice the same"],
)
def test_damage_is_no_torn_line(tmp_path, content, words):
    path = tmp_path / "samples.jsonl"
    write(path, [])
    path.write_text(content)
    with pytest.raises(InputError) as refused, AnswerFile(path, SETTINGS, exact=False):
        pass
    assert [word for word in words if word not in str(refused.value)] == []
    assert path.read_text() == content


def test_settings_that_are_gone(tmp_path):
    path = tmp_path / "samples.jsonl"
    write(path, [Sample("4", 2, False)])
    run_path(path).unlink()
    with pytest.raises(InputError, match=r"samples\.run\.json"), AnswerFile(path, SETTINGS, exact=False):
        pass
    assert path.exists()


def test_shorter_than_it_was(tmp_path):
    path = tmp_path / "samples.jsonl"
    write(path, [Sample("4", 2, False)] * 2, state="state", exact=True)
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(InputError, match="10 bytes of the"), AnswerFile(path, SETTINGS, exact=True):
        pass


def test_two_processes_do_not_write_one_file(tmp_path):
    path = tmp_path / "samples.jsonl"
    with AnswerFile(path, SETTINGS, exact=False):
        with pytest.raises(InputError, match="in use"), AnswerFile(path, SETTINGS, exact=False):
            pass
        assert json.loads(run_path(path).read_text())["settings"] == SETTINGS
    assert sorted(file.name for file in tmp_path.iterdir()) == ["samples.jsonl", "samples.run.json"]
