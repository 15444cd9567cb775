"""What a stage samples from: whole models, adapters with their base as in training, servers."""

from __future__ import annotations

import json
import shutil

import pytest
from peft import PeftModel
from transformers import AutoTokenizer
from trl import ModelConfig

from r1_trl.errors import InputError
from r1_trl.sampling import OpenAISampler, SamplingConfig, TransformersSampler, sample_completions
from r1_trl.stages import evaluate
from r1_trl.stages.sampling import (
    SampledModelConfig,
    check_sampling,
    load_model,
    load_tokenizer,
    make_sampler,
    sampling_fingerprint,
)
from tests.sampling.misbehaving_server import ANSWER, MisbehavingServer
from tests.stages.adapter_folders import BASE, save_adapter

CPU = {"use_cpu": True, "max_completion_length": 24}
PROMPTS = ["question : what is 5 + 3 ?"]


def load(path, given=(), **settings):
    model_args = SampledModelConfig(model_name_or_path=str(path), **settings)
    found = check_sampling(SamplingConfig(**CPU), model_args, given)
    return load_model(found, model_args, use_cpu=True), load_tokenizer(found, model_args), model_args


@pytest.mark.parametrize("base", [BASE, "/another/machine/r1_trl/miniature/base"], ids=["here", "moved"])
def test_an_adapter_is_sampled_with_its_base(tmp_path, base):
    adapter = save_adapter(tmp_path / "adapter", tokenizer=False, base=base)
    model, tokenizer, _ = load(adapter)
    assert isinstance(model, PeftModel)
    settings = {"num_generations": 8, "max_completion_length": 24, "temperature": 1.0}
    adapted = sample_completions(model, tokenizer, PROMPTS, **settings)
    plain = sample_completions(*load(BASE)[:2], PROMPTS, **settings)
    with model.disable_adapter():
        assert sample_completions(model, tokenizer, PROMPTS, **settings) == plain
    assert adapted != plain


@pytest.mark.parametrize(
    ("trained", "given", "quantised"),
    [
        (None, {}, False),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, {}, True),
        ({"load_in_4bit": True}, {"load_in_4bit": False}, False),
        ({"load_in_4bit": False}, {"load_in_4bit": True}, True),
    ],
    ids=["nobody says", "as in training", "not, by the flag", "by the flag"],
)
def test_in_how_many_bits_the_base_is(tmp_path, trained, given, quantised):
    adapter = save_adapter(tmp_path / "adapter", trained=trained)
    model, tokenizer, model_args = load(adapter, given, **given)
    assert model_args.load_in_4bit is quantised
    exact = load(BASE)[0].model.layers[0].mlp.down_proj.weight
    weight = model.get_base_model().model.layers[0].mlp.down_proj.base_layer.weight
    assert weight.equal(exact) is not quantised  # on a CPU, what 4 bits have left of it is written out
    assert (weight - exact).abs().mean() < 0.15 * exact.abs().mean()
    ((answer,),) = sample_completions(model, tokenizer, PROMPTS, 1, 8)
    assert 0 < answer.num_tokens <= 8


def test_backends(tmp_path):
    model_args = SampledModelConfig(model_name_or_path="miniature:base")
    path = check_sampling(SamplingConfig(**CPU), model_args)
    assert model_args.dtype == "float32"  # what a CPU computes in
    assert isinstance(make_sampler(SamplingConfig(**CPU), model_args, path), TransformersSampler)
    served = SamplingConfig(sampling_backend="openai", base_url=["http://localhost:1/v1"], served_model_name="m")
    assert check_sampling(served, SampledModelConfig()) is None
    assert isinstance(make_sampler(served, SampledModelConfig(), None), OpenAISampler)
    with pytest.raises(InputError, match=r"r1-trl\[vllm\]"):
        check_sampling(SamplingConfig(sampling_backend="vllm"), model_args)


@pytest.mark.parametrize(
    "changes",
    [{"temperature": 0.5}, {"seed": 1}, {"per_device_eval_batch_size": 8}, {"num_generations": 2}],
)
def test_fingerprint_follows_what_changes_the_answers(changes):
    model_args = ModelConfig(model_name_or_path="miniature:base")

    def fingerprint(**settings):
        return sampling_fingerprint(PROMPTS, SamplingConfig(**settings), model_args, BASE)

    assert fingerprint() == fingerprint(use_cpu=True)
    assert fingerprint() != fingerprint(**changes)
    assert json.dumps(fingerprint())


@pytest.mark.parametrize(
    ("folder", "name"),
    [("model", "tokenizer.json"), ("model", "chat_template.jinja"), ("base", "chat_template.jinja")],
    ids=["the tokenizer", "the chat template", "the base of an adapter"],
)
def test_fingerprint_follows_the_files(tmp_path, folder, name):
    base = shutil.copytree(BASE, tmp_path / "base")
    model = base
    if folder == "base":
        model = save_adapter(tmp_path / "adapter", tokenizer=False, base=str(base))
    model_args = ModelConfig(model_name_or_path=str(model))
    before = sampling_fingerprint(PROMPTS, SamplingConfig(), model_args, str(model))
    with (base / name).open("a") as file:
        file.write(" ")
    assert sampling_fingerprint(PROMPTS, SamplingConfig(), model_args, str(model)) != before


def run_evaluate(tmp_path, **settings):
    settings = {
        "output_dir": str(tmp_path / "evaluation"),
        "model_name_or_path": "miniature:base",
        "dataset_name": "miniature:questions",
        "num_questions": 6,
        "num_generations": 2,
        "languages": ["en", "zh"],
        "per_device_eval_batch_size": 4,
        **CPU,
        **settings,
    }
    config = tmp_path / "evaluate.yaml"
    config.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))
    evaluate.main(["--config", str(config)])
    return json.loads((tmp_path / "evaluation" / "stage.json").read_text())


def test_an_evaluation_that_is_left_goes_on(tmp_path, monkeypatch):
    expected = run_evaluate(tmp_path)
    table = (tmp_path / "evaluation" / "samples.parquet").read_bytes()
    files = {path.name for path in (tmp_path / "evaluation").iterdir()}
    assert files == {"samples.parquet", "stage.json"}
    whole = TransformersSampler.sample

    def left(self, requests):
        for number, answer in enumerate(whole(self, requests)):
            if number == 7:
                raise KeyboardInterrupt
            yield answer

    monkeypatch.setattr(TransformersSampler, "sample", left)
    with pytest.raises(KeyboardInterrupt):
        run_evaluate(tmp_path)
    assert (tmp_path / "evaluation" / "samples.jsonl").read_text().count("\n") == 7
    with pytest.raises(InputError, match=r"samples\.jsonl holds answers of another run: `temperature`"):
        run_evaluate(tmp_path, temperature=1.0)
    monkeypatch.setattr(TransformersSampler, "sample", whole)
    assert run_evaluate(tmp_path)["metrics"] == expected["metrics"]
    assert (tmp_path / "evaluation" / "samples.parquet").read_bytes() == table
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == files


def test_an_evaluation_with_a_refused_question(tmp_path):
    served = {"model_name_or_path": None, "sampling_backend": "openai", "served_model_name": "m", "num_questions": 4}
    with MisbehavingServer(lambda number, body: 400 if "first" in body["prompt"] else ANSWER) as server:
        rows = [{"prompt": "first 2 + 2", "solution": "4"}, {"prompt": "2 + 2", "solution": "4"}]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = {**served, "base_url": [server.url], "dataset_name": str(tmp_path / "rows.jsonl")}
        metrics = run_evaluate(tmp_path, **settings)["metrics"]
    assert (metrics["pass@1"], metrics["refused"], metrics["truncated"]) == (0.5, 0.5, 0.5)


def test_an_evaluation_of_servers_by_source(tmp_path, capsys):
    rows = [
        {"prompt": "2 + 2", "solution": "4", "source": "sums"},
        {"prompt": "2 + 3", "solution": "5", "source": "sums"},
        {"prompt": "Write.", "solution": "a poem", "source": "poems"},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    served = {"model_name_or_path": None, "sampling_backend": "openai", "served_model_name": "m"}
    with MisbehavingServer() as server:
        settings = {**served, "base_url": [server.url], "dataset_name": str(tmp_path / "rows.jsonl")}
        record = run_evaluate(tmp_path, **settings)
        assert len(server.requests) == 6
    metrics = record["metrics"]
    assert (metrics["pass@1"], metrics["questions"], metrics["ungradable_questions"]) == (0.5, 2, 1)
    assert {source: part["pass@1"] for source, part in metrics["by_source"].items()} == {"sums": 0.5, "poems": None}
    assert metrics["by_source"]["sums"]["cons@2"] == 0.5
    assert record["inputs"]["model"] == {"name": "m", "base_url": [server.url]}
    names = [line.split()[:1] for line in capsys.readouterr().out.splitlines()]
    assert names.count(["sums"]) == 1


@pytest.mark.parametrize(
    ("opened", "text"),
    [
        (True, "<think> 2 + 2 </think> <answer> 4 </answer>"),  # the server echoes the tag
        (True, " 2 + 2 </think> <answer> 4 </answer>"),
        (False, "<think> 2 + 2 </think> <answer> 4 </answer> {end}"),  # and leaves the end token
    ],
    ids=["an echo", "no echo", "an end token"],
)
def test_what_servers_add_does_not_count_against_the_form(tmp_path, opened, text):
    row = {"prompt": "2 + 2", "solution": "4", "think_opened": opened}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    text = text.replace("{end}", AutoTokenizer.from_pretrained(BASE).eos_token)
    served = {"sampling_backend": "openai", "served_model_name": "m", "dataset_name": str(tmp_path / "rows.jsonl")}
    with MisbehavingServer(lambda number, body: text) as server:
        metrics = run_evaluate(tmp_path, **served, base_url=[server.url])["metrics"]
    assert (metrics["pass@1"], metrics["well_formed"]) == (1.0, 1.0)
