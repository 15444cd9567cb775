"""R1GRPOTrainer's loss and gradient against the paper's objective, written out in float64 without TRL.

J = 1/G Σ_i 1/|o_i| Σ_t [ min(ρ A_i, clip(ρ, 1−ε, 1+ε) A_i) − β (π_ref/π − log(π_ref/π) − 1) ], loss = −J
(DeepSeekMath, arXiv 2402.03300, eq. 3-4; DeepSeek-R1, arXiv 2501.12948v2, §2.1). The epsilon beside the standard
deviation and its Bessel correction are not stated there; TRL's are written down here as they are.
"""

import pytest
import torch
from transformers import AutoModelForCausalLM

from r1_trl import R1GRPOConfig, R1GRPOTrainer

STD_EPSILON = 1e-4
G, EPSILON = 16, 10.0


def length_reward(completion_ids, **kwargs):
    """Differs within every group, whatever the policy writes."""
    return [float(len(ids) % 7) + 0.1 * index for index, ids in enumerate(completion_ids)]


def paper_advantages(rewards):
    groups = rewards.double().view(-1, G)
    return ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + STD_EPSILON)).flatten()


def token_logps(model, batch):
    """log π(o_t | q, o_<t) by the plain definition: full logits, softmax, gather."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    length = batch["completion_ids"].shape[1]
    logits = model(input_ids=ids, attention_mask=mask).logits[:, -length - 1 : -1].double()
    return torch.log_softmax(logits, dim=-1).gather(2, batch["completion_ids"].unsqueeze(2)).squeeze(2)  # (B, T)


def paper_loss(logps, old_logps, ref_logps, mask, advantages, beta):
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(advantages)):
        answer = torch.zeros((), dtype=torch.float64)
        for t in range(int(mask[i].sum())):
            ratio = (logps[i, t] - old_logps[i, t]).exp()
            clipped = ratio.clamp(1 - EPSILON, 1 + EPSILON)
            gain = torch.minimum(ratio * advantages[i], clipped * advantages[i])
            if beta:
                difference = ref_logps[i, t] - logps[i, t]
                gain = gain - beta * (difference.exp() - difference - 1)
            answer = answer + gain
        total = total + answer / mask[i].sum()
    return -total / len(advantages)


def gradients(model):
    return torch.cat([p.grad.double().flatten() for p in model.parameters() if p.grad is not None])


@pytest.fixture(scope="module")
def rollout(base_path, questions, tmp_path_factory):
    """A trainer in float64 and one real rollout of two questions, with the rewards that it was given."""
    args = R1GRPOConfig(
        output_dir=str(tmp_path_factory.mktemp("fidelity")),
        per_device_train_batch_size=2 * G,
        max_completion_length=24,
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        report_to="none",
        model_init_kwargs={"dtype": torch.float64},
    )
    trainer = R1GRPOTrainer(base_path, length_reward, args, train_dataset=questions)
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    rows = [row for row in questions.select(range(2)) for _ in range(G)]
    batch = trainer._generate_and_score_completions(rows)
    rewards = torch.tensor(list(trainer._logs["rewards"]["length_reward"]))
    return trainer, batch, rewards


def test_advantages_are_the_papers(rollout):
    _, batch, rewards = rollout
    torch.testing.assert_close(batch["advantages"].double(), paper_advantages(rewards), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.001, 0.5])
@pytest.mark.parametrize("old", ["equal", "different"])
def test_loss_and_gradient_are_the_papers(rollout, base_path, beta, old):
    trainer, batch, rewards = rollout
    model = AutoModelForCausalLM.from_pretrained(base_path, dtype=torch.float64).train()
    model.load_state_dict(trainer.model.state_dict())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        logps = token_logps(model, batch)
        # From a ratio of 0.05 to one of 20: both sides of the upper clip at 11 are there.
        noise = 3.0 * (2 * torch.rand(logps.shape, generator=generator, dtype=torch.float64) - 1)
        old_logps = logps if old == "equal" else logps - noise
        ref_logps = logps + 0.3 * torch.randn(logps.shape, generator=generator, dtype=torch.float64)
    # The trainer keeps rewards in float32, and on the policy the terms of a group cancel: exact advantages go in here,
    # and the test above compares the trainer's own.
    inputs = {**batch, "ref_per_token_logps": ref_logps, "advantages": paper_advantages(rewards)}
    if old == "different":
        assert ((noise > 2.4) & (batch["advantages"].unsqueeze(1) > 0) & batch["completion_mask"].bool()).any()
        inputs["old_per_token_logps"] = old_logps

    mask, advantages = batch["completion_mask"], paper_advantages(rewards)
    expected = paper_loss(token_logps(model, batch), old_logps, ref_logps, mask, advantages, beta)
    expected.backward()

    trainer.beta = beta
    trainer.model.zero_grad()
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()

    # On the policy and without KL the advantages of a group cancel, and the loss is zero.
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-12)
    ours, papers = gradients(trainer.model), gradients(model)
    assert (ours - papers).norm() <= 1e-5 * papers.norm()
    assert papers.norm() > 0


def test_bias_correction_would_be_another_gradient(rollout):
    """TRL's default for the KL term is not the paper's: the reason for `use_bias_correction_kl=False`."""
    trainer, batch, _ = rollout
    with torch.no_grad():
        logps = token_logps(trainer.model, batch)
    inputs = {**batch, "ref_per_token_logps": logps + 0.5}
    trainer.beta = 0.5
    norms = []
    for corrected in (False, True):
        trainer.args.use_bias_correction_kl = corrected
        trainer.model.zero_grad()
        trainer._compute_loss(trainer.model, inputs).backward()
        norms.append(gradients(trainer.model))
    trainer.args.use_bias_correction_kl = False
    assert (norms[0] - norms[1]).norm() > 1e-2 * norms[0].norm()
