"""Runs into a file: what is there is not sampled again, and what was begun ends as if it had not been left."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1_trl.errors import InputError
from r1_trl.sampling import (
    ExactSampler,
    OpenAISampler,
    Sample,
    TransformersSampler,
    sample_completions,
    sample_to_file,
)
from r1_trl.sampling.run import read_finished
from r1_trl.tasks.arithmetic import question_rows
from tests.sampling.misbehaving_server import ANSWER, MisbehavingServer

PROMPTS = [row["prompt"] for row in question_rows("train", 6)] + ["what is 2 + 2 ?"]


@pytest.fixture(scope="module")
def loaded(base_path):
    return AutoModelForCausalLM.from_pretrained(base_path), AutoTokenizer.from_pretrained(base_path)


def run(loaded, path, after=None, seed=1):
    """All answers; or those of a run that is left after so many."""
    sampler = TransformersSampler(*loaded, 30, temperature=1.0, batch_size=4, seed=seed)
    assert isinstance(sampler, ExactSampler)
    if after is not None:
        whole = sampler.sample

        def sample(requests):
            for number, answer in enumerate(whole(requests)):
                if number == after:
                    raise KeyboardInterrupt
                yield answer

        sampler.sample = sample
    return sample_to_file(sampler, PROMPTS, 3, path, {"seed": seed}, seed)


@pytest.mark.parametrize("after", [0, 1, 4, 6, 19])
def test_left_and_gone_on_with(loaded, tmp_path, after):
    expected = run(loaded, tmp_path / "alone.jsonl")
    with pytest.raises(KeyboardInterrupt):
        run(loaded, tmp_path / "left.jsonl", after)
    assert run(loaded, tmp_path / "left.jsonl") == expected
    assert (tmp_path / "left.jsonl").read_bytes() == (tmp_path / "alone.jsonl").read_bytes()


def test_the_file_has_the_answers_of_memory(loaded, tmp_path):
    in_memory = sample_completions(*loaded, PROMPTS, 3, 30, temperature=1.0, batch_size=4, seed=1)
    assert run(loaded, tmp_path / "samples.jsonl") == in_memory


def test_a_finished_run_samples_nothing(loaded, tmp_path):
    path = tmp_path / "samples.jsonl"
    assert read_finished(path, {"seed": 1}, len(PROMPTS), 3) is None
    with pytest.raises(KeyboardInterrupt):
        run(loaded, path, after=5)
    assert read_finished(path, {"seed": 1}, len(PROMPTS), 3) is None
    expected = run(loaded, path)
    assert run(loaded, path, after=0) == expected
    assert read_finished(path, {"seed": 1}, len(PROMPTS), 3) == expected


def test_refused_answers_are_told_and_not_asked_for_again(tmp_path, caplog):
    prompts, path = ["2 + 2", "a long one", "2 + 3"], tmp_path / "samples.jsonl"
    with MisbehavingServer(lambda number, body: 400 if "long" in body["prompt"] else ANSWER) as server:
        answers = sample_to_file(OpenAISampler([server.url], "m"), prompts, 2, path, {}, 1)
        assert sample_to_file(OpenAISampler([server.url], "m"), prompts, 2, path, {}, 1) == answers
        assert len(server.requests) == 6
    assert answers[0] == answers[2] == [Sample(ANSWER, 9, False)] * 2
    assert all(answer.refusal for answer in answers[1])
    assert caplog.messages[0] == caplog.messages[1]
    assert "2 of 6 answers were refused" in caplog.messages[0]
    assert "with the index 1." in caplog.messages[0]
    assert "status 400" in caplog.messages[0]
    assert read_finished(path, {}, 3, 2) == answers
    assert len(caplog.messages) == 3


def test_a_run_that_is_refused_as_a_whole_is_an_error(tmp_path):
    path = tmp_path / "samples.jsonl"
    with MisbehavingServer(lambda number, body: 400 if number < 4 else ANSWER) as server:
        sampler = OpenAISampler([server.url], "m")
        with pytest.raises(InputError, match=r"refuses every request, the first one with: .*status 400"):
            sample_to_file(sampler, ["2 + 2", "2 + 3"], 2, path, {}, 1)
        assert list(tmp_path.iterdir()) == []
        assert sample_to_file(sampler, ["2 + 2", "2 + 3"], 2, path, {}, 1) == [[Sample(ANSWER, 9, False)] * 2] * 2
