"""Figures show what a run logged, and nothing that it did not."""

import re

import pytest
from matplotlib import rc_context

from r1_trl.report.drawing import SETTINGS, draw, style_axes
from r1_trl.report.figures import compared_figures, replaces_reference, stage_figures
from r1_trl.report.lines import Line, metric_lines, thin
from r1_trl.report.metrics import PASS_AT_1, Metric
from r1_trl.report.palette import SERIES, VARIABLES, series_look
from r1_trl.tracking.run_folder import StageFolder
from tests.report.runs import grpo_logs, write_stage

OLD = [{"step": step, "eval_rewards/accuracy_reward/mean": 0.1 * step} for step in (0, 5)]


def titles(logs):
    return [figure.title for figure in stage_figures(logs, "f")]


def test_figures_of_grpo():
    assert titles(grpo_logs()) == [
        "Right answers (pass@1)",
        "Length of an answer (tokens)",
        "Language consistency",
        "Rewards by part",
        "Reward",
        "KL divergence from the reference",
        "Entropy",
        "Clipped tokens",
        "Reflective words",
        "Truncated answers",
        "Groups without spread",
    ]


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ([], []),
        ([{"step": 1, "loss": 2.0}], []),  # a point is no curve
        ([{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}], []),
        ([{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}, {"step": 3, "loss": 1.0}], ["Loss"]),
        ([{"step": s, "loss": 1.0, "accuracy": 0.5, "margin": 1.0} for s in (1, 2)], ["Loss", "Accuracy", "Margin"]),
        (OLD, ["Right answers (pass@1)"]),
        ([{"step": s, "eval_pass@1": 0.1, "eval_pass@4": 0.2, "rewards/a/mean": 1} for s in (1, 2)],
         ["Right answers (pass@1)", "One of 4 right (pass@4)", "Rewards by part"]),
    ],
)  # fmt: skip
def test_what_was_not_logged_has_no_figure(logs, expected):
    assert titles(logs) == expected


def test_newer_key_wins_over_the_older():
    logs = [{"step": 1, "eval_pass@1": 0.5, "eval_rewards/accuracy_reward/mean": 0.25}]
    assert metric_lines(logs, PASS_AT_1)[0].values == [0.5]


def test_svg_is_the_same_twice_and_fit_for_a_page():
    first, second = (stage_figures(grpo_logs(), "f") for _ in range(2))
    assert [figure.svg for figure in first] == [figure.svg for figure in second]
    together = "".join(figure.svg for figure in first)
    ids = re.findall(r' id="([^"]*)"', together)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"(?:href=\"|url\()#([\w.-]+)", together)) <= set(ids)
    assert not re.search(r"#[0-9a-f]{6}\b", together)  # every colour is a variable
    assert "<style" not in together
    assert "xlink" not in together


def test_a_title_with_markup_is_text():
    line = Line("x", [1, 2], [1.0, 2.0], series_look(0), "number")
    assert "<b>" not in draw([line], Metric("<b>$\\frac$", ()), "f")


def test_series_differ_without_colour():
    assert len({(look.dashes, look.marker) for look in SERIES}) == len(SERIES)
    assert all(look.color in VARIABLES for look in SERIES)


def test_a_spike_survives_thinning():
    steps, values = thin(range(10_000), [100.0 if step == 4_321 else 0.0 for step in range(10_000)])
    assert len(steps) <= 502
    assert values[steps.index(4_321)] == 100.0


def test_compared_lines_are_runs():
    figures = compared_figures({"a": grpo_logs(), "b": grpo_logs(better=0.9), "c": []}, "f")
    accuracy, length = figures[:2]
    assert [line.label for line in accuracy.lines] == ["a", "b"]
    assert accuracy.lines[1].values[-1] == 0.9
    assert accuracy.note.endswith("On held-out questions. Not logged: c.")
    assert length.note.endswith("While training. Not logged: c.")
    assert [line.look for line in accuracy.lines] == [series_look(0), series_look(1)]
    assert "Reward: format" in [figure.title for figure in figures]
    assert "a: first 5.0% at step 1, last 50.0% at step 10" in accuracy.label


def test_a_run_without_held_out_values_lies_beside_the_others():
    trained = [log for log in grpo_logs() if "eval_pass@1" not in log]
    accuracy = compared_figures({"missing": [], "a": trained, "b": grpo_logs()}, "f")[0]
    assert [line.label for line in accuracy.lines] == ["a (training)", "b"]
    assert [line.look for line in accuracy.lines] == [series_look(1), series_look(2)]
    assert accuracy.note.endswith("On held-out questions. Not logged: missing.")


def test_a_score_on_a_scale_of_its_own_has_a_figure_of_its_own():
    logs = [{**log, "rewards/helpful_reward/mean": 45.0 * log["step"]} for log in grpo_logs() if "reward" in log]
    figures = {figure.title: figure for figure in stage_figures(logs, "f")}
    assert [line.label for line in figures["Rewards by part"].lines] == ["accuracy", "format", "language consistency"]
    assert figures["Reward: helpful"].lines[0].values[-1] == 450.0


def test_what_is_drawn_of_clipping_and_of_the_reference(tmp_path):
    held_out = [{"step": step, "eval_clip_ratio/region_mean": 0.0, "eval_kl": 0.1} for step in (1, 10)]
    figures = {figure.title: figure for figure in stage_figures([*grpo_logs(), *held_out], "f")}
    assert [line.label for line in figures["Clipped tokens"].lines] == ["training"]
    assert "replaced" not in figures["KL divergence from the reference"].note
    for name, every, replaced in (("never", 11, False), ("once", 10, True)):
        arguments = {"sync_ref_model": True, "ref_model_sync_steps": every}
        stage = StageFolder(write_stage(tmp_path / name, "grpo", grpo_logs()), {"arguments": arguments})
        assert replaces_reference(stage) is replaced
    titled = {figure.title: figure for figure in stage_figures(grpo_logs(), "f", replaced=True)}
    assert titled["KL divergence from the reference"].note == "Drops where the reference is replaced."


@pytest.mark.parametrize(("low", "high"), [(0.2898, 0.3461), (0.13, 2.34), (-0.5, 0.7), (5.0, 5.0), (1e-9, 3e-9)])
def test_both_ends_of_an_axis_are_labelled(low, high):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    with rc_context(SETTINGS):
        axes.plot([1, 2, 3], [low, high, low])
        style_axes(axes, Metric("Loss", ("loss",), zero=False))
    bottom, top = axes.get_ylim()
    ticks = axes.get_yticks()
    assert (bottom, top) == (ticks[0], ticks[-1])
    assert bottom <= low <= high <= top
    assert len(ticks) <= 7


def test_more_runs_than_colours_still_differ():
    assert len({(look.color, look.dashes) for look in map(series_look, range(36))}) == 36


def test_numbers_are_thinned_to_twenty_rows():
    (figure,) = stage_figures([{"step": step, "loss": 1 / step} for step in range(1, 1001)], "f")
    assert len(figure.rows) == 20
    assert figure.rows[0] == ["1", "1.00"]
    assert figure.rows[-1] == ["1,000", "0.00100"]
