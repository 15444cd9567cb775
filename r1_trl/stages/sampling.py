"""The sampling of a stage: the model or the servers behind the settings, and the answers to a dataset's questions."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from trl import ModelConfig, get_quantization_config

from r1_trl.completion import THINK_OPEN, think_opened_by
from r1_trl.errors import InputError
from r1_trl.precision import compute_dtype
from r1_trl.redaction import mask_secrets
from r1_trl.sampling.config import SamplingConfig
from r1_trl.sampling.openai import OpenAISampler, check_openai
from r1_trl.sampling.run import hash_prompts, read_finished, sample_to_file
from r1_trl.sampling.sampler import Sample, Sampler
from r1_trl.sampling.transformers import TransformersSampler, prompt_to_text
from r1_trl.sampling.vllm import VLLMSampler, check_vllm
from r1_trl.stages.adapters import QUANTISATION, find_adapter, load_adapter, load_processing_class
from r1_trl.stages.models import check_model
from r1_trl.stages.record import hash_model


@dataclass
class SampledModelConfig(ModelConfig):
    """
    [`~trl.ModelConfig`] of a model that is only sampled: its weights are loaded in what the hardware computes in.

    Parameters:
        dtype (`str`, *optional*):
            Of the weights. By default as [`~r1_trl.precision.compute_dtype`] says.
    """

    dtype: str | None = field(
        default=None,
        metadata={
            "help": "Dtype of the weights; by default bfloat16, or float16 on a GPU without it, or float32 on a CPU.",
            "choices": ["auto", "bfloat16", "float16", "float32"],
        },
    )


class Answers(NamedTuple):
    """What the sampling of a dataset gives."""

    samples: list[list[Sample]]  # Q lists of k
    think_opened: list[bool]  # Q: whether the prompt has opened the thinking


def require_one_process(command: str) -> None:
    """Refuses `accelerate launch`: each of its processes would do all the work.

    Raises:
        InputError: There is more than one process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(f"{command} runs in one process: call `r1-trl {command}` without `accelerate launch`")


def check_sampling(config: SamplingConfig, model_args: ModelConfig, given: Collection[str] = ()) -> str | None:
    """Refuses what cannot be sampled, before anything loads, and fills in what the user left open, in place.

    An adapter's base is quantised as in training, unless `load_in_4bit` or `load_in_8bit` is given. The dtype is what
    the hardware computes in ([`~r1_trl.precision.compute_dtype`]), as nothing is trained.

    Args:
        config ([`~sampling.config.SamplingConfig`]): How to sample.
        model_args ([`~trl.ModelConfig`]): The model.
        given (`Collection[str]`, *optional*): Names of the settings that the user wrote down.

    Returns:
        `str` or `None`: The model's folder or Hub id; `None` where only servers know the model.

    Raises:
        InputError: There is no such model, or an extra is missing.
    """
    if config.sampling_backend == "openai":
        check_openai()
        return check_model(model_args, allow_adapter=True) if model_args.model_name_or_path else None
    if config.sampling_backend == "vllm":
        check_vllm()
    path = check_model(model_args, allow_adapter=True)
    adapter = find_adapter(path, model_args.model_revision)
    if adapter is not None and not {"load_in_4bit", "load_in_8bit"} & set(given):
        for name in QUANTISATION:
            if name not in given and name in adapter.trained:
                setattr(model_args, name, adapter.trained[name])
    if config.sampling_backend == "vllm" and (model_args.load_in_4bit or model_args.load_in_8bit):
        raise InputError("`sampling_backend: vllm` takes no quantised base: merge the adapter (`r1-trl merge`) first")
    if model_args.dtype is None:
        model_args.dtype = str(compute_dtype(config.use_cpu)).removeprefix("torch.")
    return path


def sample_questions(
    questions: Dataset, config: SamplingConfig, model_args: ModelConfig, path: str | None, file: Path
) -> Answers:
    """Samples k answers to each question into a file. Loads no model where the file is finished.

    Args:
        questions ([`~datasets.Dataset`]): Q rows with `prompt`, and `think_opened` where the prompt cannot show it.
        config ([`~sampling.config.SamplingConfig`]): How.
        model_args ([`~trl.ModelConfig`]): The model.
        path (`str` or `None`): As [`check_sampling`] returns it.
        file (`Path`): The file of answers, see [`~sampling.run.sample_to_file`].

    Raises:
        InputError: The file holds answers of other settings, or no server answers.
    """
    prompts = list(questions["prompt"])
    fingerprint = sampling_fingerprint(prompts, config, model_args, path)
    tokenizer = None if path is None else load_tokenizer(path, model_args)
    samples = read_finished(file, fingerprint, len(prompts), config.num_generations)
    if samples is None:
        sampler = make_sampler(config, model_args, path, tokenizer)
        samples = sample_to_file(sampler, prompts, config.num_generations, file, fingerprint, config.seed)
    opened = think_opened(questions, tokenizer)
    if config.sampling_backend == "openai":
        end = None if tokenizer is None else tokenizer.eos_token
        samples = [
            [_trimmed(sample, flag, end) for sample in answers] for flag, answers in zip(opened, samples, strict=True)
        ]
    return Answers(samples, opened)


def sampling_fingerprint(
    prompts: Sequence[Any], config: SamplingConfig, model_args: ModelConfig, path: str | None
) -> dict[str, Any]:
    """What the answers depend on, for the file that holds them.

    Args:
        prompts, config, model_args, path: See [`sample_questions`].
    """
    names = ["sampling_backend", "num_generations", "temperature", "top_p", "max_completion_length", "seed"]
    settings: dict[str, Any] = {"prompts": hash_prompts(prompts)}
    if config.sampling_backend == "openai":
        names += ["served_model_name", "extra_body"]
    else:
        settings |= {"model": model_args.model_name_or_path, "model_sha256": hash_model(str(path))}
        adapter = find_adapter(str(path), model_args.model_revision)
        if adapter is not None:
            settings |= {"base": adapter.base, "base_sha256": hash_model(adapter.base)}
        settings |= {name: getattr(model_args, name) for name in ("model_revision", "dtype", *QUANTISATION)}
    if config.sampling_backend == "transformers":
        names.append("per_device_eval_batch_size")
    return settings | {name: getattr(config, name) for name in names}


def sampled_model(config: SamplingConfig, model_args: ModelConfig, path: str | None) -> dict[str, Any]:
    """Who gave the answers, for the record of the stage.

    Args:
        config, model_args, path: See [`sample_questions`].
    """
    if config.sampling_backend == "openai":
        return {"name": config.served_model_name, "base_url": mask_secrets(config.base_url)}
    return {"name": model_args.model_name_or_path, "sha256": hash_model(str(path))}


def make_sampler(
    config: SamplingConfig,
    model_args: ModelConfig,
    path: str | None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Sampler:
    """The backend that the settings name, ready to sample: loads the model, or asks nobody yet.

    Args:
        config ([`~sampling.config.SamplingConfig`]): How to sample.
        model_args ([`~trl.ModelConfig`]): The model, after [`check_sampling`].
        path (`str` or `None`): As [`check_sampling`] returns it.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`], *optional*): By default, the model's.
    """
    how: dict[str, Any] = {name: getattr(config, name) for name in ("max_completion_length", "temperature", "top_p")}
    if config.sampling_backend == "openai":
        names = ("api_key_env", "extra_body", "max_concurrent_requests", "request_timeout", "server_timeout")
        how |= {name: getattr(config, name) for name in names}
        return OpenAISampler(config.base_url or [], str(config.served_model_name), **how)
    assert path is not None  # every other backend needs a model
    how["batch_size"] = config.per_device_eval_batch_size
    tokenizer = tokenizer or load_tokenizer(path, model_args)
    if config.sampling_backend == "vllm":
        return _vllm_sampler(config, model_args, path, tokenizer, how)
    return TransformersSampler(load_model(path, model_args, config.use_cpu), tokenizer, **how, seed=config.seed)


def load_model(path: str, model_args: ModelConfig, use_cpu: bool = False) -> PreTrainedModel:
    """The model, or the base with its adapter, in 4 bits where the settings say so, ready to generate.

    On a CPU, a quantised base is written out in `dtype`, with the same values: bitsandbytes' kernel for inference
    there takes no layer whose width is not a multiple of 64.

    Args:
        path (`str`): As [`check_sampling`] returns it.
        model_args ([`~trl.ModelConfig`]): After [`check_sampling`].
        use_cpu (`bool`, *optional*, defaults to `False`): Leave an accelerator alone.
    """
    kwargs: dict[str, Any] = {
        "revision": model_args.model_revision,
        "attn_implementation": model_args.attn_implementation,
        "dtype": model_args.dtype,
        "device_map": "cpu" if use_cpu else "auto",
    }
    quantization_config = get_quantization_config(model_args)
    if quantization_config is not None:
        kwargs["quantization_config"] = quantization_config
    on_cpu = use_cpu or not torch.accelerator.is_available()
    adapter = find_adapter(path, model_args.model_revision)
    model: Any
    if adapter is not None:
        model = load_adapter(adapter, is_trainable=False, dequantize=on_cpu, **kwargs)
    else:
        model = AutoModelForCausalLM.from_pretrained(path, **kwargs)
        if on_cpu and getattr(model, "hf_quantizer", None) is not None:
            model = model.dequantize()
    return model.eval()  # type: ignore[no-any-return]


def load_tokenizer(path: str, model_args: ModelConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of the model, or of the adapter or its base."""
    adapter = find_adapter(path, model_args.model_revision)
    if adapter is not None:
        return load_processing_class(adapter)  # type: ignore[no-any-return]
    return AutoTokenizer.from_pretrained(path, revision=model_args.model_revision)


def think_opened(questions: Dataset, tokenizer: PreTrainedTokenizerBase | None) -> list[bool]:
    """Whether each prompt ends with `<think>`: by the row's own column, else by the text that the model reads.

    Args:
        questions ([`~datasets.Dataset`]): Rows with `prompt`, and perhaps `think_opened`.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`] or `None`): Without one, the prompt itself is looked at.
    """
    given = questions["think_opened"] if "think_opened" in questions.column_names else [None] * len(questions)
    return [
        think_opened_by(prompt if tokenizer is None else prompt_to_text(prompt, tokenizer))
        if flag is None
        else bool(flag)
        for flag, prompt in zip(given, questions["prompt"], strict=True)
    ]


def _trimmed(sample: Sample, opened: bool, end: str | None) -> Sample:
    """Without what some servers add: the tag that the prompt has opened, and the end token."""
    text = sample.completion
    if opened and text.lstrip().startswith(THINK_OPEN):
        text = text.lstrip().removeprefix(THINK_OPEN)
    if end and text.rstrip().endswith(end):
        text = text.rstrip().removesuffix(end).rstrip()
    return sample._replace(completion=text)


def _vllm_sampler(
    config: SamplingConfig, model_args: ModelConfig, path: str, tokenizer: PreTrainedTokenizerBase, how: dict[str, Any]
) -> Sampler:
    adapter = find_adapter(path, model_args.model_revision)
    lora = {} if adapter is None else {"adapter": adapter.path, "max_lora_rank": adapter.settings.get("r", 16)}
    return VLLMSampler(
        path if adapter is None else adapter.base,
        tokenizer,
        **how,
        **lora,
        revision=model_args.model_revision if adapter is None else adapter.base_revision,
        dtype=model_args.dtype,
        seed=config.seed,
        tensor_parallel_size=config.vllm_tensor_parallel_size,
        gpu_memory_utilization=config.vllm_gpu_memory_utilization,
        max_model_len=-1,  # what its memory holds: a context of 131,072 does not fit beside a 7B model
    )
