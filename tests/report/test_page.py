"""The report in a real Chromium: it asks for nothing, complains of nothing, and lets itself be read by keyboard."""

import itertools
import random
import re

import pytest

from r1_trl.report.command import write_report
from tests.report.chromium import CHROMIUM, chromium
from tests.report.runs import HOSTILE, write_completions, write_run, write_stage

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def page():
    with chromium() as tab:
        yield tab


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return write_report([write_run(folder / "a <b>$x$ &c")], folder / "report.html")


@pytest.fixture(autouse=True)
def no_complaint_and_no_request(page):
    yield
    assert page.complaints() == []
    assert page.requests() == []


def found(page):
    return page.evaluate("document.getElementById('found').textContent")


def choose(page, name, value):
    """As a user does: the field changes, and tells so."""
    page.evaluate(f"""(() => {{
        const field = document.getElementById('filters').elements[{name!r}];
        const option = field.options && [...field.options].find((option) => option.text === {value!r});
        field.value = option ? option.value : {value!r};
        field.dispatchEvent(new Event('input', {{bubbles: true}}));
    }})()""")


def clear(page):
    page.evaluate("document.querySelector('#filters button[type=reset]').click()")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (375, False), (1280, True), (375, True)])
def test_figures_are_drawn_and_nothing_is_wider_than_the_window(page, report, width, dark):
    page.open(report, width=width, dark=dark)
    drawn = page.evaluate("""[...document.querySelectorAll('.drawing svg')].map((svg) => {
        const lines = [...svg.querySelectorAll('path')].map((path) => path.getBoundingClientRect());
        return [svg.getBoundingClientRect().width, Math.max(...lines.map((box) => box.width))];
    })""")
    assert len(drawn) == 1 + 11  # the loss of SFT; the figures of GRPO
    assert all(size > 250 and line > 150 for size, line in drawn)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_nothing_a_model_wrote_runs(page, report):
    page.open(report)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    texts = page.evaluate("[...document.querySelectorAll('#list pre')].map((pre) => pre.textContent)")
    for name in ("script", "end of script", "template", "quotes", "latex", "astral"):
        assert HOSTILE[name] in texts, name
    assert "‹U+202E›terces‹U+202C› ‹U+2066›x‹U+2069›" in texts
    assert "a‹U+0000›b‹U+001B›c‹U+007F›" in texts
    assert max(map(len, texts)) < 2_000  # the long one is folded
    assert page.evaluate("document.title").startswith("a <b>$x$ &c")


def test_a_long_text_unfolds(page, report):
    page.open(report)
    page.evaluate("document.querySelector('.more').click()")
    assert page.evaluate("document.activeElement.textContent").count("x") > 19_000
    assert "980,000 characters left out" in page.evaluate("document.activeElement.textContent")


def test_a_long_prompt_and_a_long_gold_unfold_without_half_a_character(page, tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    prompt, gold = "p" * 1_199 + "𝔘" * 500, "g" * 1_199 + "🧮" * 300
    write_completions(folder, 1, ["a"], prompt=[prompt], solution=[gold])
    page.open(write_report([folder], tmp_path / "report.html"))
    assert page.evaluate("document.querySelector('.completion h3').textContent") == "p" * 1_199 + "…"
    assert page.evaluate("document.querySelector('.part.gold pre').textContent") == "g" * 1_199 + "…"
    for _ in range(2):
        page.evaluate("document.querySelector('.more').click()")
    assert page.evaluate("document.querySelector('.completion h3').textContent") == prompt
    assert page.evaluate("document.querySelector('.part.gold pre').textContent") == gold


def test_an_empty_completion_tells_what_is_wrong(page, tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    write_completions(folder, 1, [""])
    page.open(write_report([folder], tmp_path / "report.html"))
    text = page.evaluate("document.querySelector('.completion .text').innerText")
    assert [line for line in text.split("\n") if line] == ["As it was written: no <think>", "completion", "(empty)"]


def test_a_filter_with_nothing_to_choose_is_not_there(page, tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    write_completions(folder, 1, ["a"])
    page.open(write_report([folder], tmp_path / "report.html"))
    assert page.evaluate("document.getElementById('filters').elements.source.offsetParent === null")
    assert page.evaluate("document.getElementById('filters').elements.text.offsetParent !== null")


def test_completions_that_cannot_be_opened(page, report, tmp_path):
    broken = tmp_path / "report.html"
    html = report.read_text(encoding="utf-8")
    start = html.index('id="packed">') + len('id="packed">')
    broken.write_text(f"{html[:start]}AAAA{html[start + 4 :]}", encoding="utf-8")
    page.open(broken)
    assert found(page).startswith("The completions could not be opened: ")


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("stage", "grpo", 20),
        ("stage", "grpo_evaluation", 2),
        ("kind", "evaluation", 4),
        ("verdict", "right", 11),
        ("source", "source 1", 2),
        ("step_from", "2", 10),
        ("step_to", "1", 10),
        ("text", "BOXED{4", 2),
        ("text", "question 3", 2),
        ("text", "nowhere", 0),
    ],
)
def test_filters(page, report, name, value, count):
    if page.evaluate("location.href") != report.resolve().as_uri():
        page.open(report)
    choose(page, name, value)
    page.wait(f"document.getElementById('found').textContent === '{count} of 24 completions found'")
    assert page.evaluate("document.querySelectorAll('#list article').length") == min(20, count)
    clear(page)
    page.wait("document.getElementById('found').textContent === '24 of 24 completions found'")


def test_range_of_a_reward(page, report):
    page.open(report)
    choose(page, "score", "format reward")
    page.wait("document.getElementById('found').textContent.startsWith('20 of')")
    choose(page, "score_from", "0.6")
    page.wait("document.getElementById('found').textContent.startsWith('0 of')")


def test_pages(page, report):
    page.open(report)
    page.evaluate("document.getElementById('next').focus()")
    page.evaluate("document.getElementById('next').click()")
    assert page.evaluate("document.activeElement.id") == "previous"
    assert page.evaluate("document.querySelectorAll('#list article').length") == 4
    assert page.evaluate("document.getElementById('page').textContent") == "Page 2 of 2"
    assert page.evaluate("document.getElementById('next').disabled")


def test_keyboard_alone(page, report):
    """Tab reaches the filters past everything before them; typing searches; the status is announced."""
    page.open(report)
    page.press("Tab", 9)
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    for _ in range(200):
        page.press("Tab", 9)
        if page.evaluate("document.activeElement.name") == "text":
            break
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for letter in "boxed":
        page.press(letter, text=letter)
    page.wait("document.getElementById('found').textContent.startsWith('2 of')")
    assert page.evaluate("document.getElementById('found').getAttribute('aria-live')") == "polite"


def test_names_for_a_screen_reader(page, report):
    page.open(report)
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"] and "role" in node
    ]
    roles = {role for role, _ in named}
    assert {"banner", "main", "navigation", "contentinfo", "search", "status"} <= roles
    for role in ("textbox", "searchbox", "combobox", "spinbutton", "button", "image", "table", "region"):
        assert all(name for found, name in named if found == role), role
    pictures = [name for role, name in named if role == "image"]
    assert any(
        name.startswith("Right answers (pass@1) over steps. held-out: first 5.0% at step 1") for name in pictures
    )
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_text_has_contrast(page, report):
    """WCAG 2 AA: 4.5 to 1 for text, 3 to 1 for lines of figures, in both themes."""
    for dark in (False, True):
        page.open(report, dark=dark)
        ratios = page.evaluate("""(() => {
            const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const light = (color) => {
                canvas.fillStyle = color;
                canvas.fillRect(0, 0, 1, 1);
                const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255)
                    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const probe = document.body.appendChild(document.createElement('i'));
            const of = (name) => { probe.style.color = `var(${name})`; return light(getComputedStyle(probe).color); };
            const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            const series = [1, 2, 3, 4, 5, 6].map((number) => `series-${number}`);
            const grounds = [of('--paper'), of('--raised')];
            return ['ink', 'muted', 'right', 'wrong', 'training', 'edge', ...series]
                .map((name) => [name, ...grounds.map((ground) => ratio(of(`--${name}`), ground))]);
        })()""")
        for name, paper, raised in ratios:
            line = name in ("training", "edge")
            assert min(paper, raised) >= (3 if line else 4.5), (name, dark, paper, raised)


def test_theme_switch(page, report):
    page.open(report)
    colour = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(colour)
    page.evaluate("document.getElementById('theme').click()")
    assert page.evaluate(colour) != before
    assert page.evaluate("document.getElementById('theme').getAttribute('aria-pressed')") == "true"


def test_print_shows_figures_and_no_controls(page, report):
    page.open(report)
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.evaluate("getComputedStyle(document.getElementById('filters').parentElement).display") == "none"
    assert page.evaluate("document.querySelector('.printed').getBoundingClientRect().height") > 0
    assert page.evaluate("document.querySelector('.drawing svg').getBoundingClientRect().width") > 100
    page.call("Emulation.setEmulatedMedia", media="")


def test_runs_laid_over_one_another(page, tmp_path):
    runs = [write_run(tmp_path / "one"), write_run(tmp_path / "two", better=0.9, learning_rate=5e-6)]
    page.open(write_report(runs, tmp_path / "two.html"))
    legend = page.evaluate(
        "[...document.querySelector('#stage-1 .legend').querySelectorAll('li')].map((li) => li.innerText)"
    )
    assert [line.split()[0] for line in legend] == ["one", "two"]
    dashes = page.evaluate("document.querySelectorAll('#stage-1 .drawing')[0].innerHTML.includes('stroke-dasharray')")
    assert dashes
    rows = page.evaluate("[...document.querySelectorAll('.settled tbody tr')].map((row) => row.innerText)")
    assert [row.split() for row in rows] == [["learning_rate", "1e-06", "5e-06", "grpo"]]


def test_twenty_thousand_completions_open_within_three_seconds(page, tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    for step in range(80):
        write_completions(
            folder, step, [f"<think>so {i * step % 997} it is</think><answer>{i}</answer>" for i in range(256)]
        )
    report = write_report([folder], tmp_path / "report.html")
    seconds = page.open(report)
    assert found(page) == "20,000 of 20,000 completions found"
    assert "480 are left out" in page.evaluate("document.body.innerText")
    assert seconds < 3
    assert report.stat().st_size < 5_000_000


def test_long_completions_open_within_three_seconds(page, tmp_path):
    """A thousand characters each, of words in no order, which compress worse than any model's."""
    folder = write_stage(tmp_path / "grpo", "grpo")
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(1_000)]
    for step in range(80):
        texts = [f"<think>{' '.join(generator.choices(words, k=170))}</think><answer>4</answer>" for _ in range(256)]
        write_completions(folder, step, texts)
    report = write_report([folder], tmp_path / "report.html")
    assert page.open(report) < 3
    assert 4_000_000 < report.stat().st_size < 5_200_000
    assert re.fullmatch(r"([\d,]+) of \1 completions found", found(page))
