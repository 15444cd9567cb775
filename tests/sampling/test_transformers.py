"""Sampling: k answers to each prompt, in order, reproducible, with honest lengths."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1_trl.sampling.transformers import sample_completions

PROMPTS = [
    [{"role": "user", "content": "what is 9 + 8 - 7 + 6 + 5 ?"}],
    [{"role": "user", "content": "what is 5 + 3 ?"}],
    "what is 2 + 2 ?",
]


@pytest.fixture(scope="module")
def loaded(base_path):
    return AutoModelForCausalLM.from_pretrained(base_path), AutoTokenizer.from_pretrained(base_path)


def sample(loaded, **changes):
    settings = {"num_generations": 3, "max_completion_length": 40, "batch_size": 4, "seed": 1, **changes}
    return sample_completions(*loaded, PROMPTS, **settings)


def test_shape_and_seeds(loaded):
    samples = sample(loaded)
    assert [len(answers) for answers in samples] == [3, 3, 3]
    assert sample(loaded) == samples
    assert sample(loaded, seed=2) != samples


def test_lengths_and_truncation(loaded):
    _, tokenizer = loaded
    for answer in (answer for answers in sample(loaded, max_completion_length=8) for answer in answers):
        tokens = len(tokenizer(answer.completion)["input_ids"])
        assert answer.num_tokens == tokens + (not answer.truncated)  # the end token is counted, not shown
        assert answer.truncated == (answer.num_tokens == 8 and tokens == 8)


def test_greedy_answers_do_not_depend_on_the_batch(loaded):
    one_by_one = sample(loaded, temperature=0.0, num_generations=1, batch_size=1)
    together = sample(loaded, temperature=0.0, num_generations=1, batch_size=3)
    assert one_by_one == together


def test_the_models_own_settings_do_not_leak_in(loaded):
    """A repetition penalty in a model's generation config would change the protocol unseen."""
    model, _ = loaded
    expected = sample(loaded)
    own = model.generation_config
    model.generation_config = type(own)(**{**own.to_dict(), "repetition_penalty": 5.0, "max_length": 3})
    try:
        assert sample(loaded) == expected
        assert model.generation_config.repetition_penalty == 5.0
    finally:
        model.generation_config = own
