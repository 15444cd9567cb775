"""The picture is drawn from whatever a run has logged."""

import pytest

from r1_trl.report.curves import PANELS, curve, plot_curves

LOGS = [
    {"step": 2, "reward": 1.2, "rewards/accuracy_reward/mean": 0.2, "completions/mean_length": 11.0},
    {"step": 2, "eval_reward": 1.1, "eval_rewards/accuracy_reward/mean": 0.1, "eval_completions/mean_length": 10.0},
    {"step": 4, "reward": None, "loss": 0.0},
]


def test_curve_leaves_out_what_was_not_logged():
    assert curve(LOGS, "reward") == ([2], [1.2])
    assert curve(LOGS, "eval_reward") == ([2], [1.1])


def test_panels_are_those_of_the_recipe():
    titles = [panel.title for panel in PANELS]
    assert titles == ["Right answers (pass@1)", "Length of an answer (tokens)", "Language consistency", "Reward"]


@pytest.mark.parametrize("logs", [LOGS, []], ids=["a run", "an empty run"])
def test_png(tmp_path, logs):
    plot_curves(logs, tmp_path / "new" / "curves.png", "a title")
    assert (tmp_path / "new" / "curves.png").read_bytes().startswith(b"\x89PNG")
