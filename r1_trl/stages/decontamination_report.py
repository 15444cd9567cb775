"""What `r1-trl data decontaminate` found: counts for the report, and the table that it prints."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from r1_trl.tasks.decontamination import Match

_COMMON = 10  # n-grams in the report


@dataclass
class Decontamination:
    """What was dropped, by source and evaluation set.

    Args:
        evaluation_sets (`dict`): Name -> number of rows.
        rows (`Counter`): Source -> number of rows.
        without_question (`Counter`): Source -> number of rows that ask nothing, which are left out.
        dropped (`dict`): Source -> evaluation set -> number of rows.
        ngrams (`Counter`): What the dropped rows share -> number of rows.
    """

    evaluation_sets: dict[str, int] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    without_question: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ngrams: Counter[str] = field(default_factory=Counter)

    def drop(self, source: str, match: Match) -> None:
        """Counts a row that is dropped."""
        self.dropped[source][match.source.evaluation_set] += 1
        self.ngrams[match.text] += 1

    def kept(self, source: str) -> int:
        """How many rows of a source stay."""
        return self.rows[source] - self.without_question[source] - self.dropped[source].total()

    def as_dict(self) -> dict[str, Any]:
        """The report, for `decontamination.json`."""
        sources = {
            source: {
                "rows": count,
                "dropped": self.dropped[source].total(),
                "without_question": self.without_question[source],
                "kept": self.kept(source),
                "dropped_by": dict(self.dropped[source]),
            }
            for source, count in self.rows.items()
        }
        common = [{"text": text, "rows": count} for text, count in self.ngrams.most_common(_COMMON)]
        return {"evaluation_sets": self.evaluation_sets, "sources": sources, "most_common_matches": common}


def format_decontamination(found: Decontamination) -> str:
    """A table by source, and what most of the dropped rows share.

    >>> from r1_trl.tasks.decontamination import Source
    >>> found = Decontamination({"exam": 30}, Counter({"gsm8k": 7473}))
    >>> found.drop("gsm8k", Match(Source("exam", 4, "question"), "prompt", "ngram", "how many legs do"))
    >>> print(format_decontamination(found))
    source    rows  dropped    kept    exam
    gsm8k     7473        1    7472       1
    <BLANKLINE>
    what dropped rows share most:
         1  how many legs do
    """
    sets = list(found.evaluation_sets)
    width = max(map(len, ["source", *found.rows]))
    widths = [8, 9, 8, *(max(8, len(name) + 2) for name in sets)]

    def line(name: str, cells: list[Any]) -> str:
        return f"{name:<{width}}" + "".join(f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True))

    lines = [line("source", ["rows", "dropped", "kept", *sets])]
    for source, count in found.rows.items():
        by_set = found.dropped[source]
        lines.append(line(source, [count, by_set.total(), found.kept(source), *(by_set[name] for name in sets)]))
    if found.ngrams:
        lines += ["", "what dropped rows share most:"]
        lines += [f"{count:>6}  {text[:100]}" for text, count in found.ngrams.most_common(3)]
    return "\n".join(lines)
