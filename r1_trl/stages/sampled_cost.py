"""What a stage that samples has cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import AutoConfig
from trl import ModelConfig

from r1_trl.sampling.config import SamplingConfig
from r1_trl.sampling.sampler import Sample
from r1_trl.stages.adapters import find_adapter
from r1_trl.stages.sft_config import count_parameters
from r1_trl.tracking.config import TrackingConfig
from r1_trl.tracking.cost import sampling_cost


def sampled_cost(
    samples: Sequence[Sequence[Sample]],
    wall_seconds: float,
    config: SamplingConfig,
    model_args: ModelConfig,
    path: str | None,
    tracking: TrackingConfig,
) -> dict[str, Any]:
    """The ledger of a stage that samples, for its `stage.json`.

    Of servers (`openai`) only the client's time is known, so it counts as a CPU's.

    Args:
        samples (`Sequence[Sequence[Sample]]`): All answers, those of earlier starts among them.
        wall_seconds (`float`): Of all starts, see [`~r1_trl.sampling.answer_file.sampled_seconds`].
        config ([`~sampling.config.SamplingConfig`]): Who sampled.
        model_args ([`~trl.ModelConfig`]): The model.
        path (`str` or `None`): As [`~r1_trl.stages.sampling.check_sampling`] returns it.
        tracking ([`~r1_trl.tracking.config.TrackingConfig`]): What a device costs.
    """
    return sampling_cost(
        wall_seconds,
        sum(sample.num_tokens for answers in samples for sample in answers),
        tracking.gpu_hour_usd,
        use_cpu=config.use_cpu or config.sampling_backend == "openai",
        devices=config.vllm_tensor_parallel_size,
        model_params=model_size(path, model_args),
    )


def model_size(path: str | None, model_args: ModelConfig) -> int | None:
    """The weights of a model, or of an adapter's base, by its configuration.

    `None` where only servers know it, or transformers cannot count it, such as that of a model of text and images.
    """
    if path is None:
        return None
    adapter = find_adapter(path, model_args.model_revision)
    base, revision = (path, model_args.model_revision) if adapter is None else (adapter.base, adapter.base_revision)
    try:
        return count_parameters(AutoConfig.from_pretrained(base, revision=revision))
    except (OSError, ValueError):  # all is sampled by now
        return None
