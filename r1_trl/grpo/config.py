"""R1's reinforcement learning as a config: TRL's `GRPOConfig` with the paper's numbers as its defaults.

Sources: [N] DeepSeek-R1, Nature 2025; [v2] its arXiv version 2 (2501.12948v2); [DSM] DeepSeekMath (2402.03300).

Departures and silences:
1. Batch sizes depend on the hardware: the default is one question's 16 answers. The paper's: 32 questions x 16 answers
   = 512 completions a step; 8,192 completions a rollout, split into 16 mini-batches (`generation_batch_size=8192`).
2. ε = 10 is the value of R1's first RL stage. R1-Zero's is not stated.
3. The optimizer, the warm-up and the epsilon beside the standard deviation are not stated: TRL's are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from r1_trl.errors import InputError
from r1_trl.grpo.adapters import ADAPTER_DTYPES
from r1_trl.grpo.schedules import read_schedule, read_windows
from r1_trl.precision import settle_training_args
from r1_trl.tracking.trackers import installed_trackers


@dataclass
class R1GRPOConfig(GRPOConfig):
    r"""
    [`~trl.GRPOConfig`] whose defaults are those of the DeepSeek-R1 paper. Every other field is TRL's.

    Parameters:
        learning_rate (`float`, *optional*, defaults to `3e-6`):
            R1-Zero and RL stage 1 [N; v2 §2.1]. For LoRA about ten times as much is customary.
        lr_scheduler_type (`str`, *optional*, defaults to `"constant"`):
            One learning rate is stated for the whole run [N].
        beta (`float`, *optional*, defaults to `0.001`):
            KL coefficient [N]. `0.0` switches the reference model off.
        use_bias_correction_kl (`bool`, *optional*, defaults to `False`):
            The plain estimator π_ref/π_θ − log(π_ref/π_θ) − 1 [DSM eq. 4]; the correction is of a later model.
        epsilon (`float`, *optional*, defaults to `10.0`):
            Clip range of the ratio [N, RL stage 1]. 1 − ε = −9 never binds, so clipping acts only where the advantage
            is positive and the ratio exceeds 11.
        loss_type (`str`, *optional*, defaults to `"grpo"`):
            Each answer is averaged over its own length first, 1/G Σ 1/|o| Σ [DSM eq. 3].
        scale_rewards (`str`, *optional*, defaults to `"group"`):
            A = (r − mean(r)) / std(r) over the answers of one question [DSM §4.1.2; v2 §2.1].
        num_generations (`int`, *optional*, defaults to `16`):
            G, answers for each question [N].
        per_device_train_batch_size (`int`, *optional*, defaults to `16`):
            Completions at once on one device: the answers to one question, the least that `num_generations` admits.
        per_device_eval_batch_size (`int`, *optional*, defaults to `16`):
            Likewise for held-out questions.
        temperature (`float`, *optional*, defaults to `1.0`):
            Of the rollout [N]. RL stage 2 uses 0.7.
        max_completion_length (`int`, *optional*, defaults to `32768`):
            Tokens [N]; R1-Zero uses 65,536 after step 8,200. Small hardware wants far less: memory grows with it.
        sync_ref_model (`bool`, *optional*, defaults to `True`):
            The reference is replaced by the latest policy [N]; ignored where `beta` is `0.0`. Works with full
            fine-tuning and with adapters.
        ref_model_mixup_alpha (`float`, *optional*, defaults to `1.0`):
            Replaced, not mixed [N].
        ref_model_sync_steps (`int`, *optional*, defaults to `400`):
            Steps between two replacements [N].
        disable_dropout (`bool`, *optional*, defaults to `True`):
            With dropout the ratio π_θ/π_old of the first step is not 1, as the objective takes it to be [DSM eq. 3].
        bf16 (`bool`, *optional*):
            Follows the hardware where neither it nor `fp16` is set ([`~r1_trl.precision.compute_dtype`]): `True`
            where the GPU computes in bfloat16 natively, otherwise `fp16`, and neither on a CPU, which trains in
            float32. Not stated in the paper.
        sort_by_length (`bool`, *optional*, defaults to `True`):
            Within each optimizer step, completions of similar length share a micro-batch, which is cut to its longest
            [v2, appendix B.1]. Loss and gradient stay those of TRL. Rows keep their micro-batch, which is cut all the
            same, with the loss type `bnpo`, an entropy bonus, `top_entropy_quantile` below 1 and experts to balance:
            there, the loss of a row depends on its neighbours.
        skip_zero_advantages (`bool`, *optional*, defaults to `True`):
            Where `beta` is 0, completions whose advantage is 0 get no forward and no backward pass: their gradient is
            0. The share that is saved is logged as `skipped_completions`. Not with the settings named above, nor under
            FSDP and DeepSpeed.
        generation_chunk_size (`int`, *optional*):
            Completions that are generated at once on one device, by transformers. Defaults to the whole rollout.
        max_completion_length_schedule (`list`, *optional*):
            `[[0, 32768], [8200, 65536]]`: tokens from a step on [N], in place of `max_completion_length`. Steps are
            optimizer steps; a rollout takes what holds at its beginning.
        temperature_schedule (`list`, *optional*):
            `[[0, 1.0], [1000, 0.7]]`: temperature from a step on, in place of `temperature`.
        reward_weights_schedule (`list`, *optional*):
            `[[0, [1, 1]], [100, [1, 0.5]]]`: weights from a step on, in place of `reward_weights`.
        reward_windows (`dict`, *optional*):
            `{helpful: {last_steps: 400}}`, or `from_step`: outside of these steps the reward is not computed and
            counts as `None`. RL stage 2 has preference rewards in its last 400 steps alone [N]. JSON on the command
            line, as the schedules.
        adapter_dtype (`str`, *optional*, defaults to `"float32"`):
            Of the trained adapter: `"float32"` or `"bfloat16"`. In bfloat16 small updates round away: 2,000 steps of
            1e-6 in one direction move a weight from 0 to 4.9e-4 instead of 2e-3. The base has its own (`--dtype`,
            `--load_in_4bit`). Ignored without an adapter. Not stated in the paper, which trains all weights.
        reflection_words (`list[str]`, *optional*):
            Words and phrases that `reflection/words_per_thousand` counts beside the paper's ten [v2, appendix C.2]
            and their Chinese equivalents ([`~r1_trl.tracking.reflection.ReflectionWords`]).

    Raises:
        InputError: The batch cannot be split into whole groups of `num_generations`.

    Example:

    ```python
    >>> from r1_trl import R1GRPOConfig
    >>> args = R1GRPOConfig(output_dir="runs/r1")
    >>> args.beta, args.epsilon, args.loss_type, args.num_generations
    (0.001, 10.0, 'grpo', 16)

    ```
    """

    learning_rate: float = field(default=3e-6, metadata={"help": "Initial learning rate of AdamW [N; v2 §2.1]."})
    lr_scheduler_type: str = field(default="constant", metadata={"help": "Learning rate schedule [N]."})
    beta: float = field(default=0.001, metadata={"help": "KL coefficient [N]; 0 switches the reference off."})
    use_bias_correction_kl: bool = field(
        default=False, metadata={"help": "Weight the KL by the ratio; R1 uses the plain k3 estimator [DSM eq. 4]."}
    )
    epsilon: float = field(default=10.0, metadata={"help": "Clip range of the ratio [N, RL stage 1]."})
    loss_type: str = field(
        default="grpo",
        metadata={"help": "Aggregation of token losses; `grpo` averages each answer [DSM eq. 3]."},
    )
    scale_rewards: str = field(
        default="group", metadata={"help": "Divide advantages by the std of `group`, of `batch`, or `none` [v2 §2.1]."}
    )
    num_generations: int | None = field(default=16, metadata={"help": "G, answers for each question [N]."})
    per_device_train_batch_size: int = field(
        default=16, metadata={"help": "Completions at once on one device; 16 answers to one question by default."}
    )
    per_device_eval_batch_size: int = field(
        default=16, metadata={"help": "Completions at once on one device, in evaluation."}
    )
    temperature: float = field(default=1.0, metadata={"help": "Temperature of the rollout [N]; 0.7 in RL stage 2."})
    max_completion_length: int | None = field(
        default=32768, metadata={"help": "Maximum length of a completion in tokens [N]; small hardware wants less."}
    )
    sync_ref_model: bool = field(
        default=True, metadata={"help": "Replace the reference by the latest policy [N]; ignored where `beta` is 0."}
    )
    ref_model_mixup_alpha: float = field(
        default=1.0, metadata={"help": "Share of the policy in the new reference [N]: 1 replaces it."}
    )
    ref_model_sync_steps: int = field(default=400, metadata={"help": "Steps between two replacements [N]."})
    disable_dropout: bool = field(default=True, metadata={"help": "Switch dropout off in policy and reference."})
    sort_by_length: bool = field(
        default=True, metadata={"help": "Rows of similar length share a micro-batch, cut to its longest [v2, B.1]."}
    )
    skip_zero_advantages: bool = field(
        default=True, metadata={"help": "No pass for completions without a gradient, where `beta` is 0."}
    )
    generation_chunk_size: int | None = field(
        default=None, metadata={"help": "Completions generated at once; the whole rollout of a device by default."}
    )
    max_completion_length_schedule: list[Any] | str | None = field(
        default=None, metadata={"help": "[[0, 32768], [8200, 65536]]: tokens from a step on [N]."}
    )
    temperature_schedule: list[Any] | str | None = field(
        default=None, metadata={"help": "[[0, 1.0], [1000, 0.7]]: temperature from a step on."}
    )
    reward_weights_schedule: list[Any] | str | None = field(
        default=None, metadata={"help": "[[0, [1, 1]], [100, [1, 0.5]]]: reward_weights from a step on."}
    )
    reward_windows: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "{helpful: {last_steps: 400}}: steps in which a reward counts [N]."}
    )
    adapter_dtype: str = field(
        default="float32",
        metadata={
            "help": "Dtype of the trained adapter; in bfloat16 small updates round away.",
            "choices": ["float32", "bfloat16"],
        },
    )
    reflection_words: list[str] | None = field(
        default=None,
        metadata={"help": "Words counted as reflection beside the paper's and their Chinese equivalents."},
    )

    def __post_init__(self) -> None:
        self._read_schedules()
        if self.generation_chunk_size is not None and self.generation_chunk_size < 1:
            raise InputError(f"`generation_chunk_size: {self.generation_chunk_size}` must be at least 1")
        if self.adapter_dtype not in ADAPTER_DTYPES:
            raise InputError(f"`adapter_dtype: {self.adapter_dtype}` must be one of {', '.join(ADAPTER_DTYPES)}")
        if isinstance(self.reflection_words, str):
            raise InputError(f"`reflection_words: {self.reflection_words}` must be a list of words")
        settle_training_args(self)
        if self.beta == 0.0:
            self.sync_ref_model = False  # nothing to replace
        try:
            super().__post_init__()
        except ValueError as error:
            batch, generations = self.generation_batch_size or 0, self.num_generations or 0
            if generations < 2 or batch % generations == 0:
                raise
            raise InputError(
                f"`num_generations: {generations}` does not divide the {batch} completions of a rollout "
                f"(`per_device_train_batch_size` {self.per_device_train_batch_size} x `steps_per_generation` "
                f"{self.steps_per_generation} x {self.world_size} process(es)): every question needs all its answers "
                f"in one rollout. Set `per_device_train_batch_size: {generations}`, or another `num_generations`"
            ) from error
        self.report_to = installed_trackers(self.report_to)

    def _read_schedules(self) -> None:
        self.max_completion_length_schedule = read_schedule(
            "max_completion_length_schedule", self.max_completion_length_schedule, int
        )
        self.temperature_schedule = read_schedule("temperature_schedule", self.temperature_schedule, float)
        self.reward_weights_schedule = read_schedule("reward_weights_schedule", self.reward_weights_schedule, list)
        self.reward_windows = read_windows("reward_windows", self.reward_windows)
        if self.max_completion_length_schedule:
            longest = max(length for _, length in self.max_completion_length_schedule)
            room = self.vllm_max_model_length
            if self.use_vllm and room is not None and longest >= room:
                raise InputError(
                    f"`max_completion_length_schedule: {self.max_completion_length_schedule}` goes up to {longest} "
                    f"tokens, and vLLM keeps to `vllm_max_model_length: {room}`, prompt included: raise that"
                )
            if self.use_vllm and room is None:
                raise InputError(
                    "`max_completion_length_schedule` with `use_vllm` needs `vllm_max_model_length`, which vLLM fixes "
                    f"at its start: set it to {longest} and the longest prompt"
                )
            self.max_completion_length = self.max_completion_length_schedule[0][1]
        if self.temperature_schedule:
            self.temperature = self.temperature_schedule[0][1]
        if self.reward_weights_schedule:
            self.reward_weights = self.reward_weights_schedule[0][1]
