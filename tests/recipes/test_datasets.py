"""Every recipe's data: the columns of its Hub datasets, as published, become the rows that its stage needs."""

import json
from dataclasses import replace

import pytest
from datasets import IterableDataset

from r1_trl.completion import parse_completion
from r1_trl.rejection.candidates import Candidate
from r1_trl.rejection.rows import sft_rows
from r1_trl.sampling.sampler import Sample
from r1_trl.stages.data import load_datasets
from r1_trl.stages.decontaminate import main as decontaminate
from r1_trl.stages.questions import load_questions
from r1_trl.stages.reward_rows import prepare_rows
from r1_trl.stages.sft import check_columns
from tests.recipes.folders import CONFIGS, FOLDERS, command_of, name, of_command, settings
from tests.recipes.hub import SCHEMAS, localised, write_dataset
from tests.stage_parsers import PARSERS

OWN_DATA = "data/"  # files that a user brings: the paper's are not public
EMBEDDED = ("miniature:", "reasoning_gym:")


def sources(content):
    """The names of all data in a recipe's file."""
    entries = content.get("datasets", []) + content.get("evaluation_datasets", [])
    return [entry["path"] for entry in entries] + ([content["dataset_name"]] if "dataset_name" in content else [])


def is_of_the_hub(path):
    return path.count("/") == 1 and not path.startswith((*EMBEDDED, OWN_DATA, "runs/", "{"))


def is_readable(path):
    """Whether the rows of a recipe can be had here: of the Hub's schemas, or of an earlier stage."""
    read = command_of(path) not in ("pipeline", "verify", "doctor")
    own = any(source.startswith((*EMBEDDED, OWN_DATA)) for source in sources(settings(path)))
    return read and not own and "smollm2" not in path.parent.name


READABLE = [path for path in CONFIGS if is_readable(path)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def made(hub):
    """What earlier stages leave: clean questions by the real tool, and SFT rows by the real function."""
    folder, entries = hub / "questions", [{"path": str(write_dataset("openai/gsm8k", hub)), "name": "main"}]
    entries[0] |= {"column_mapping": {"question": "question", "solution": "answer"}, "solution_format": "gsm8k"}
    evaluation = [{"path": str(write_dataset("HuggingFaceH4/MATH-500", hub)), "split": "test"}]
    evaluation[0] |= {"column_mapping": {"question": "problem"}}
    argv = {"datasets": entries, "evaluation_datasets": evaluation, "output_dir": str(folder)}
    config = hub / "questions.json"  # JSON is YAML
    config.write_text(json.dumps(argv))
    decontaminate(["--config", str(config)])
    row = {"prompt": [{"role": "user", "content": "1 + 1?"}], "solution": "2", "source": "sums"}
    text = "<think>\nso\n</think>\n\n2"
    answer = Candidate(0, 0, row, Sample(text, 8, False), False, parse_completion(text, answer_tags=False), 1.0)
    kept = sft_rows([answer], {answer.asks: 1.0}, "sums", "teacher", {(0, 0): 0})
    (hub / "sft.jsonl").write_text("".join(json.dumps(found) + "\n" for found in kept))
    return {"clean.jsonl": folder / "clean.jsonl", "sft.jsonl": hub / "sft.jsonl"}


def parse(path, hub, made):
    """The arguments of a recipe, by class name, with local data."""
    parsed = {type(part).__name__: part for part in PARSERS[command_of(path)]().parse(["--config", str(path)])}
    mixture = parsed["R1DatasetMixtureConfig"]
    mixture.datasets = localised(mixture.datasets, hub, made)
    script = next((part for part in parsed.values() if hasattr(part, "dataset_name")), None)
    if script is not None and script.dataset_name:
        script.dataset_name = str(made[script.dataset_name.rsplit("/")[-1]])
    return parsed, script, mixture


def first(rows):
    return next(iter(rows)) if isinstance(rows, IterableDataset) else rows[0]


def test_every_dataset_of_the_hub_has_a_schema():
    used = {source for path in CONFIGS for source in sources(settings(path)) if is_of_the_hub(source)}
    assert used == set(SCHEMAS)
    assert all(schema["licence"] and schema["source"].startswith("https://") for schema in SCHEMAS.values())


@pytest.mark.parametrize("path", [path for path in READABLE if command_of(path) == "sft"], ids=name)
def test_sft_gets_prompts_and_completions(path, hub, made):
    parsed, script, mixture = parse(path, hub, made)
    rows, _ = load_datasets(script, mixture, parsed["R1SFTConfig"])
    check_columns(rows, parsed["R1SFTConfig"], path.name)
    row = first(rows)
    assert row["prompt"][-1]["role"] == "user"
    assert row["completion"][0]["content"].startswith("<think>")


@pytest.mark.parametrize("path", [path for path in READABLE if command_of(path) == "grpo"], ids=name)
def test_grpo_gets_questions_with_golds_and_only_those_rewards_that_can_score_them(path, hub, made):
    parsed, script, mixture = parse(path, hub, made)
    rows, _ = load_datasets(script, mixture, parsed["R1GRPOConfig"])
    for row in rows:
        assert row["prompt"][-1]["role"] == "user"
        rewards = row.get("reward_funcs") or parsed["R1GRPOScriptArguments"].reward_funcs
        assert (row["solution"] is not None) == ("accuracy_reward" in rewards)


@pytest.mark.parametrize("path", [path for path in READABLE if command_of(path) == "reward-model"], ids=name)
def test_reward_models_get_pairs_or_labels(path, hub, made):
    parsed, script, mixture = parse(path, hub, made)
    rows, _ = load_datasets(script, mixture, parsed["R1RewardConfig"])
    rows = prepare_rows(rows, script.kind, script.scores, script.use_margin, path.name)
    pairs = script.kind == "helpful"
    assert set(rows.column_names) == {"prompt", *(("chosen", "rejected") if pairs else ("completion", "label"))}
    answer = rows[0]["chosen" if pairs else "completion"]
    assert [message["role"] for message in answer] == ["assistant"]  # the pairs of the Hub repeat the question


SAMPLING = [path for path in READABLE if command_of(path) in ("rejection-sample", "evaluate")]


@pytest.mark.parametrize("path", SAMPLING, ids=name)
def test_sampling_gets_questions(path, hub, made):
    parsed, script, mixture = parse(path, hub, made)
    held_out = command_of(path) == "evaluate"
    unverified = getattr(parsed.get("RejectionSamplingConfig"), "keep_unverified", False)
    rows = load_questions(script, mixture, None, command_of(path), held_out, needs_gold=not unverified)
    assert rows[0]["prompt"][-1]["role"] == "user"
    assert unverified or all(rows["solution"])


@pytest.mark.parametrize("path", of_command("data decontaminate"), ids=name)
def test_questions_are_told_apart_from_the_evaluation(path, hub, made, tmp_path):
    content = settings(path) | {"output_dir": str(tmp_path)}
    for entry in content["datasets"] + content["evaluation_datasets"]:
        entry["path"] = str(write_dataset(entry["path"], hub))
    config = tmp_path / "questions.json"
    config.write_text(json.dumps(content))
    decontaminate(["--config", str(config)])
    report = json.loads((tmp_path / "decontamination.json").read_text())
    # The stand-in of GSM8K has the same rows in both splits.
    kept = [json.loads(line) for line in (tmp_path / "clean.jsonl").read_text().splitlines()]
    assert {row["source"] for row in kept} <= {"gsm8k", "math"}
    assert all(row["solution"] and row["prompt"] for row in kept)
    assert report


def test_a_column_that_is_not_there_is_seen(hub, made):
    parsed, script, mixture = parse(next(path for path in READABLE if path.name == "safety.yaml"), hub, made)
    mixture.datasets = [replace(mixture.datasets[0], column_mapping={"label": "safe"}, columns=None)]
    with pytest.raises(ValueError, match="no column `safe`"):
        load_datasets(script, mixture, parsed["R1RewardConfig"])


def test_there_are_recipes_with_data():
    assert len({path.parent for path in READABLE}) >= 8
    assert {path.parent for path in READABLE} <= set(FOLDERS)
