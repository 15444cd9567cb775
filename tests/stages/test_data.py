"""What a training stage gets for its data settings, and what it refuses before any model loads."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
from transformers import PreTrainedModel
from trl import DatasetMixtureConfig, ScriptArguments

from r1_trl.errors import InputError
from r1_trl.stages import grpo
from r1_trl.stages.data import load_datasets
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.questions import question_of

EVALUATES, DOES_NOT = SimpleNamespace(eval_strategy="steps"), SimpleNamespace(eval_strategy="no")
ROWS = [{"prompt": f"{n} + 1", "solution": str(n + 1)} for n in range(40)]


@pytest.fixture
def file(tmp_path):
    pd.DataFrame(ROWS).to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    return str(tmp_path / "rows.jsonl")


def test_one_dataset_is_as_it_was(file):
    train, test = load_datasets(ScriptArguments(dataset_name=file), R1DatasetMixtureConfig(), DOES_NOT)
    assert train.to_list() == ROWS
    assert test is None


def test_a_column_of_questions_becomes_prompts(tmp_path):
    pd.DataFrame([{"question": "1 + 1?", "solution": "2"}]).to_parquet(tmp_path / "rows.parquet")
    arguments = ScriptArguments(dataset_name=str(tmp_path / "rows.parquet"))
    train, _ = load_datasets(arguments, R1DatasetMixtureConfig(prompt_format="r1_chat"), DOES_NOT)
    assert [message["role"] for message in train[0]["prompt"]] == ["system", "user"]
    assert train.column_names == ["prompt", "solution"]


def test_one_dataset_with_its_own_test_split():
    arguments = ScriptArguments(dataset_name="miniature:questions", dataset_test_split="validation")
    train, test = load_datasets(arguments, R1DatasetMixtureConfig(), EVALUATES)
    assert (len(train), len(test)) == (8192, 64)
    assert test.column_names == ["prompt", "solution", "language"]


def test_a_file_is_not_evaluated_on_what_it_trains(file):
    with pytest.raises(InputError, match=r"`dataset_name: .*` is one file, .*`test_split_size`"):
        load_datasets(ScriptArguments(dataset_name=file), R1DatasetMixtureConfig(), EVALUATES)


@pytest.mark.parametrize("kind", [DatasetMixtureConfig, R1DatasetMixtureConfig])
def test_questions_are_held_out(file, kind):
    arguments, mixture = ScriptArguments(dataset_name=file), kind(test_split_size=0.3)
    train, test = load_datasets(arguments, mixture, EVALUATES)
    assert len(train) + len(test) == 40
    assert 0 < len(test) < 40
    assert not {question_of(row) for row in train} & {question_of(row) for row in test}
    # the same questions, whether the run evaluates or not, and alone or in a mixture
    assert load_datasets(arguments, mixture, DOES_NOT)[0].to_list() == train.to_list()
    one, held_out = load_datasets(ScriptArguments(), kind(datasets=[{"path": file}], test_split_size=0.3), EVALUATES)
    assert one["prompt"] == train["prompt"]
    assert held_out["source"] == [file] * len(test)


def test_a_mixture_with_a_test_split():
    entry = {"path": "miniature:questions", "test_split": "validation"}
    _, test = load_datasets(ScriptArguments(), R1DatasetMixtureConfig(datasets=[entry]), EVALUATES)
    assert len(test) == 64


GRPO = {
    "model_name_or_path": "miniature:base",
    "reward_funcs": ["accuracy_reward", "format_reward"],
    "per_device_train_batch_size": 16,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
}
BAD = [
    ({"column_mapping": {"question": "problm"}}, ["`problm`", "did you mean `problem`"], "a missing column"),
    ({"solution_format": "gsm"}, ["`solution_format: gsm`", "gsm8k"], "an unknown extractor"),
    ({"path": "reasoning_gym:chain_sums"}, ["'chain_sum'"], "an unknown task"),
    ({"path": "reasoning_gym:chain_sum", "reasoning_gym": {"terms": 3}}, ["'terms'", "min_terms"], "an option"),
    ({"reward_funcs": ["acuracy_reward"]}, ["`acuracy_reward`", "did you mean `accuracy_reward`"], "a reward"),
    ({"verifier": "mathh"}, ["column `verifier`", "'mathh'"], "an unknown verifier"),
    ({"weight": -1}, ["`weight: -1`", "above 0"], "a negative weight"),
    ({"column_mapping": {"question": "problem", "reward_funcs": "answer"}}, ["a list of names"], "a route of text"),
    ({"column_mapping": {}, "columns": ["answer"]}, ["no column `prompt`"], "no question"),
]


@pytest.mark.parametrize(("changes", "words", "reason"), BAD, ids=[case[-1] for case in BAD])
def test_refused_before_a_model_loads(tmp_path, monkeypatch, changes, words, reason):
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", lambda *args, **kwargs: pytest.fail("a model was loaded"))
    rows = [{"problem": f"{n} + 1", "answer": str(n + 1)} for n in range(8)]
    pd.DataFrame(rows).to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    entry = {"path": str(tmp_path / "rows.jsonl"), "column_mapping": {"question": "problem", "solution": "answer"}}
    settings = {**GRPO, "output_dir": str(tmp_path / "run"), "datasets": [{**entry, **changes}]}
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    with pytest.raises(InputError) as error:
        grpo.main(["--config", str(tmp_path / "config.yaml")])
    assert [word for word in words if word not in str(error.value)] == []
    assert not (tmp_path / "run").exists()
