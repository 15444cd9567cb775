"use strict";

// The switch between light and dark: until it is used, the reader's system decides.
const theme = document.getElementById("theme");
const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const showTheme = () => theme.setAttribute("aria-pressed", String(dark()));
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  showTheme();
});
showTheme();

// Folded stages are printed, too.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details.stage:not([open])")];
  for (const stage of folded) stage.open = true;
});
addEventListener("afterprint", () => folded.forEach((stage) => { stage.open = false; }));

const PAGE = 20;
const FOLD = 1200; // characters of a text that are shown at once
const SHORT = 200; // characters of a gold answer in one line with the verdict
const packed = document.getElementById("packed");

async function unpack(base64) {
  const binary = atob(base64);
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

// Characters that hide, or turn the direction of what follows, are shown by their names.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const visible = (text) => text.replace(HIDDEN, (character) => `‹U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}›`);

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = visible(text);
  return made;
}

// The beginning of a text, without half a surrogate pair at its end.
const beginning = (text, length) => text.slice(0, /[\ud800-\udbff]/.test(text[length - 1]) ? length - 1 : length);

// A text in an element of its own, and behind it a button to the rest of it where it is long.
function foldable(tag, text) {
  const shown = element(tag, "", text.length > FOLD ? `${beginning(text, FOLD)}…` : text);
  shown.dir = "auto";
  if (text.length <= FOLD) return [shown];
  const more = element("button", "more", `Show all ${text.length.toLocaleString("en")} characters`);
  more.type = "button";
  more.addEventListener("click", () => {
    shown.textContent = visible(text);
    shown.tabIndex = -1;
    shown.focus();
    more.remove();
  });
  return [shown, more];
}

function textBlock(name, text, className = name) {
  const part = element("div", `part ${className}`);
  part.append(element("span", "", name), ...foldable("pre", text));
  return part;
}

function browse(data) {
  const { columns, tables, scores } = data;
  const form = document.getElementById("filters");
  const list = document.getElementById("list");
  const field = (name) => form.elements[name];
  const named = (name, row) => tables[name][columns[name][row]];
  let found = [];
  let page = 0;

  const offer = (name, values) => {
    field(name).append(...values.map(([value, text]) => new Option(visible(text), value)));
    if (values.length < 2 && name !== "score") field(name).closest("label").hidden = true;
  };
  for (const name of ["stage", "kind", "source"]) offer(name, tables[name].map((text, place) => [place, text || "no source"]));
  offer("verdict", [...new Set(columns.verdict)].map((text) => [text, text]));
  offer("score", Object.keys(scores).map((name) => [name, name.replaceAll("_", " ")]));

  const number = (name) => (field(name).value === "" ? null : Number(field(name).value));
  const within = (value, low, high) => (low === null && high === null) || (value !== null && value !== undefined && (low === null || value >= low) && (high === null || value <= high));

  function matches() {
    const wanted = ["stage", "kind", "source"].map((name) => [columns[name], field(name).value]).filter(([, value]) => value !== "").map(([column, value]) => [column, Number(value)]);
    const verdict = field("verdict").value;
    const text = field("text").value.toLowerCase();
    const steps = [number("step_from"), number("step_to")];
    const range = [number("score_from"), number("score_to")];
    const score = scores[field("score").value];
    const prompts = text ? tables.prompt.map((prompt) => prompt.toLowerCase().includes(text)) : [];
    return [...Array(data.count).keys()].filter((row) =>
      wanted.every(([column, value]) => column[row] === value)
      && (!verdict || columns.verdict[row] === verdict)
      && within(columns.step[row], ...steps)
      && (!score || (score[row] !== null && within(score[row], ...range)))
      && (!text || prompts[columns.prompt[row]] || ["reasoning", "answer", "text", "gold"].some((name) => columns[name][row].toLowerCase().includes(text))));
  }

  function card(row) {
    const shown = element("article", "completion");
    const facts = element("p", "facts");
    const verdict = columns.verdict[row];
    facts.append(element("span", verdict, verdict));
    const gold = columns.gold[row];
    if (gold && gold.length <= SHORT) facts.append(element("span", "", `right is ${gold}`));
    facts.append(element("span", "", `${named("stage", row)}, ${named("kind", row)}`));
    if (columns.step[row] !== null) facts.append(element("span", "", `step ${columns.step[row].toLocaleString("en")}`));
    if (named("source", row)) facts.append(element("span", "", named("source", row)));
    for (const [name, values] of Object.entries(scores)) {
      if (values[row] !== null) facts.append(element("span", "", `${name.replace(/_reward$/, "").replaceAll("_", " ")} ${values[row]}`));
    }
    const text = element("div", "text");
    if (columns.problem[row]) {
      text.append(element("p", "label", `As it was written: ${columns.problem[row]}`), textBlock("completion", columns.text[row] || "(empty)", ""));
    } else {
      if (columns.reasoning[row]) text.append(textBlock("reasoning", columns.reasoning[row]));
      text.append(textBlock("answer", columns.answer[row]));
    }
    if (gold.length > SHORT) text.append(textBlock("gold", gold));
    shown.append(...foldable("h3", named("prompt", row)), facts, text);
    return shown;
  }

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    list.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(card));
    document.getElementById("page").textContent = `Page ${(page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`;
    document.getElementById("previous").disabled = page === 0;
    document.getElementById("next").disabled = page + 1 >= pages;
    document.querySelector(".pages").hidden = pages === 1;
  }

  function search() {
    found = matches();
    page = 0;
    document.getElementById("found").textContent = `${found.length.toLocaleString("en")} of ${data.count.toLocaleString("en")} completions found`;
    show();
  }

  const [previous, next] = ["previous", "next"].map((name) => document.getElementById(name));
  const turn = (by) => {
    page += by;
    show();
    // A button that has just become useless would lose the focus to nowhere.
    if (by > 0 && next.disabled) previous.focus();
    if (by < 0 && previous.disabled) next.focus();
    document.getElementById("found").scrollIntoView();
  };
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 150);
  });
  form.addEventListener("reset", () => setTimeout(search));
  form.addEventListener("submit", (event) => event.preventDefault());
  search();
}

if (packed && "DecompressionStream" in globalThis) {
  unpack(packed.textContent).then(browse).catch((error) => {
    document.getElementById("found").textContent = `The completions could not be opened: ${error.message}`;
  });
} else if (packed) {
  document.getElementById("found").textContent = "This browser is too old to open the completions: it has no DecompressionStream.";
}
