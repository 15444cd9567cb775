"""The report as one HTML file: no request leaves it, and nothing that a model wrote can run in it."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from r1_trl import __version__
from r1_trl.report.answers import visible
from r1_trl.report.completions import Completions, fit, read_completions
from r1_trl.report.figures import Figure, compared_figures, replaces_reference, stage_figures
from r1_trl.report.headline import make_headline, metric_rows
from r1_trl.report.numbers import SHARE, format_seconds, format_value, is_number
from r1_trl.report.palette import Look, series_look
from r1_trl.report.road import (
    Evaluation,
    before_and_after,
    last_evaluation,
    main_road,
    recorded,
    shared_questions,
    working_stages,
)
from r1_trl.report.settings import merged_differences, recorded_settings, settings_text
from r1_trl.report.tables import KINDS, cost_table, describe, stage_rows
from r1_trl.tracking.paper_cost import paper_cost
from r1_trl.tracking.run_folder import Run, StageFolder

# What a legend draws for matplotlib's markers, around (14, 5).
_MARKERS = {
    "o": "M11.6 5a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0-4.8 0z",
    "s": "M11.8 2.8h4.4v4.4h-4.4z",
    "^": "M14 2.2l2.7 5h-5.4z",
    "D": "M14 1.9l3 3.1l-3 3.1l-3-3.1z",
    "v": "M14 7.8l2.7-5h-5.4z",
    "P": "M12.9 2.2h2.2v1.7h1.7v2.2h-1.7v1.7h-2.2v-1.7h-1.7v-2.2h1.7z",
}


@dataclass(frozen=True)
class Mark:
    """One of several runs in the headline.

    Args:
        name (`str`): What a reader calls it.
        look ([`~palette.Look`]): How its lines are drawn.
        share (`str`): Its last pass@1; empty where it was not measured.
        note (`str`): The stages that were measured first and last.
    """

    name: str
    look: Look
    share: str
    note: str


@dataclass(frozen=True)
class Section:
    """The curves of one stage.

    Args:
        anchor (`str`): Its id in the page.
        name (`str`): The stage's name.
        what (`str`): What it is.
        figures (`list[Figure]`): At least one.
        open (`bool`): Whether it is shown at once, rather than folded.
    """

    anchor: str
    name: str
    what: str
    figures: list[Figure]
    open: bool


def render_run(run: Run, command: str) -> str:
    """The report of one run.

    Args:
        run ([`~tracking.run_folder.Run`]): As far as it has come.
        command (`str`): What makes this page, for its foot.

    Returns:
        `str`: HTML.
    """
    columns, rows = stage_rows(run)
    return _render(
        title=run.name,
        runs=[run],
        subtitle=_subtitle(run),
        headline=make_headline(run),
        stage_columns=columns,
        stages=rows,
        sections=_sections(run),
        costs=[(run.name, cost_table(run))],
        command=command,
    )


def render_comparison(runs: Sequence[Run], command: str) -> str:
    """The report of several runs side by side.

    Args:
        runs (`Sequence[Run]`): At least two, of different names.
        command (`str`): What makes this page, for its foot.
    """
    pairs = _pairs(runs)
    return _render(
        title=" · ".join(run.name for run in runs),
        runs=runs,
        subtitle=f"{len(runs)} runs side by side",
        compared=_compared(runs),
        sections=_compared_sections(pairs),
        differences=merged_differences(pairs),
        costs=[(run.name, cost_table(run)) for run in runs],
        command=command,
    )


def _render(runs: Sequence[Run], **content: Any) -> str:
    import jinja2

    completions = read_completions(runs)
    script = _asset("page.js")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["visible"] = visible
    environment.globals["swatch"] = lambda look: jinja2.utils.markupsafe.Markup(swatch(look))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    defaults: dict[str, Any] = {
        "headline": None,
        "stage_columns": [],
        "stages": [],
        "compared": None,
        "differences": None,
    }
    return environment.from_string(_asset("page.html")).render(
        **{**defaults, **content},
        runs=runs,
        style=_asset("page.css"),
        script=script,
        script_digest=digest,
        completions=_browser(completions),
        paper=paper_cost()["total"],
        configurations=_configurations(runs),
        versions=_versions(runs),
        version=__version__,
    )


def swatch(look: Look) -> str:
    """A sample of a line for a legend: an `<svg>` element of 28 by 10 units.

    >>> swatch(Look("#22262b"))
    '<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true"><path d="M1 5H27" style="stroke: var(--ink)"/></svg>'
    """
    dashes = f"; stroke-dasharray: {' '.join(map(str, look.dashes))}" if look.dashes else ""
    line = f'<path d="M1 5H27" style="stroke: var({look.variable}){dashes}"/>'
    marker = f'<path d="{_MARKERS[look.marker]}" style="fill: var({look.variable})"/>' if look.marker else ""
    return f'<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true">{line}{marker}</svg>'


def _asset(name: str) -> str:
    return files("r1_trl.report").joinpath(name).read_text(encoding="utf-8")


def _subtitle(run: Run) -> str:
    seconds = [stage.record["wall_seconds"] for stage in run.stages if is_number(stage.record.get("wall_seconds"))]
    devices = dict.fromkeys(str(stage.record["device"]) for stage in run.stages if stage.record.get("device"))
    stages = len(working_stages(run))
    parts = [
        f"{stages} stage{'s' if stages > 1 else ''}",
        *([format_seconds(sum(seconds))] if seconds else []),
        *devices,
    ]
    return " · ".join(parts)


def _sections(run: Run) -> list[Section]:
    names, road = {stage.name for stage in run.stages}, main_road(run)
    sections = []
    for index, stage in enumerate(working_stages(run)):
        figures = stage_figures(stage.log_history, f"s{index}", replaces_reference(stage))
        if figures:
            sections.append(Section(f"stage-{index}", stage.name, describe(stage, names), figures, stage.name in road))
    return sections


def _compared(runs: Sequence[Run]) -> dict[str, Any]:
    """The last measurement of each run on the questions that they share; one row tells where it began."""
    questions = shared_questions(runs)
    pairs = [before_and_after(run, questions) if questions else [] for run in runs]
    last = [last_evaluation(run, questions) if questions else None for run in runs]
    last = [pair[-1] if pair else after for pair, after in zip(pairs, last, strict=True)]
    marks = [
        _mark(run, series_look(index), pair, after)
        for index, (run, pair, after) in enumerate(zip(runs, pairs, last, strict=True))
    ]
    first = metric_rows([pair[0].metrics if pair else {} for pair in pairs])
    before = [[f"{first[0][0]} before", *first[0][1:]]] if first else []
    rows = metric_rows([after.metrics if after else {} for after in last])
    return {
        "names": [run.name for run in runs],
        "shared": questions is not None,
        "marks": marks,
        "rows": [*before, *rows],
    }


def _mark(run: Run, look: Look, pair: Sequence[Evaluation], after: Evaluation | None) -> Mark:
    if after is not None:
        note = " → ".join(each.of for each in pair or [after])
    elif (after := last_evaluation(run)) is not None:
        note = f"{after.of}, on questions of its own"
    else:
        return Mark(run.name, look, "", "not measured")
    return Mark(run.name, look, format_value(after.metrics["pass@1"], SHARE), note)


def _pairs(runs: Sequence[Run]) -> dict[str, dict[str, StageFolder | None]]:
    """The stages to compare: by their names, or by their commands where runs share no name."""
    by_name = [{stage.name: stage for stage in run.stages} for run in runs]
    times = Counter(name for stages in by_name for name in stages)
    if max(times.values()) == 1:
        by_name = [{stage.command or stage.name: stage for stage in run.stages} for run in runs]
        times = Counter(name for stages in by_name for name in stages)
    return {name: {run.name: stages.get(name) for run, stages in zip(runs, by_name, strict=True)} for name in times}


def _compared_sections(pairs: Mapping[str, Mapping[str, StageFolder | None]]) -> list[Section]:
    sections = []
    for index, (name, stages) in enumerate(pairs.items()):
        there = [stage for stage in stages.values() if stage is not None]
        logs = {run: stage.log_history if stage is not None else [] for run, stage in stages.items()}
        figures = compared_figures(logs, f"s{index}", any(map(replaces_reference, there)))
        if figures and len(there) > 1:
            command = next((stage.command for stage in there if stage.command), None)
            sections.append(Section(f"stage-{index}", name, KINDS.get(command, str(command)), figures, True))
    return sections


def _browser(completions: Completions) -> dict[str, Any]:
    packed = fit(completions)
    return {
        "count": len(completions.rows),
        "total": completions.total,
        "left_out": completions.left_out,
        "unreadable": completions.unreadable,
        "packed": packed,
    }


def _configurations(runs: Sequence[Run]) -> list[dict[str, str]]:
    found = []
    for run in runs:
        for stage in run.stages:
            arguments = recorded(stage, "arguments")
            if arguments:
                recipe = recorded_settings(stage)
                found.append(
                    {
                        "name": f"{run.name} / {stage.name}" if len(runs) > 1 else stage.name,
                        "command": f"r1-trl {stage.command}",
                        "recipe": settings_text(recipe) if recipe else "",
                        "all": settings_text(arguments),
                        "inputs": settings_text(recorded(stage, "inputs")),
                    }
                )
    return found


def _versions(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Each library with the versions that the stages ran with."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for stage in run.stages:
            for library, version in recorded(stage, "versions").items():
                found.setdefault(library, {})[str(version)] = None
    return [(library, ", ".join(versions)) for library, versions in found.items()]
