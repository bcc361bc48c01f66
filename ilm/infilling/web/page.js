"use strict";
// Texts reach the page by textContent alone, never as markup: what a model or a learner writes stays text.

const $ = (id) => document.getElementById(id);
const NUMBERS = ["candidates", "temperature", "top_p", "top_k", "max_answer_tokens", "seed"];
const SWITCHES = ["distinct", "cut"];
const BOUNDS = [0.01, 0.05, 0.2, 0.5];
const CHECKED_AT_FIRST = 6;
const EXAMPLE = "She ate [ngram] for [word].";
let models = [];
let running = null; // the AbortController of what is pending
let shown = []; // of each column: {model, candidates}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

async function call(path, body, signal) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...options, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is `python infill.py web=true` still running?");
  }
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status} without a message.` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

// Numbers: a probability of long answers is smaller than any float, so all start from logarithms.
function probability(log) {
  if (log === null) return "0";
  const p = Math.exp(log);
  if (p > 0.999 && p < 1) return "> 99.9 %";
  if (p >= 0.001) return `${Number((100 * p).toPrecision(p < 0.1 ? 2 : 3))} %`;
  let exponent = Math.floor(log / Math.LN10);
  let digits = Math.exp(log - exponent * Math.LN10).toFixed(1);
  if (digits === "10.0") [digits, exponent] = ["1.0", exponent + 1];
  return `${digits}·${powerOfTen(exponent)}`;
}
const powerOfTen = (exponent) => `10${[...String(exponent)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("")}`;
const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1 %" : share > 0.999 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`);
const nats = (log) => (log === null ? "−∞" : log.toFixed(2).replace("-", "−"));
const bin = (log) => (log === null ? 0 : BOUNDS.filter((bound) => Math.exp(log) >= bound).length);
const visible = (text) => text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "(end)";

// The form

const chosen = () => models.filter((model) => model.box.checked);

function listModels(found) {
  const checked = new Set(models.length ? chosen().map((m) => m.name) : found.slice(0, CHECKED_AT_FIRST).map((m) => m.name));
  models = found.map((model) => {
    const box = make("input", { type: "checkbox", checked: checked.has(model.name) });
    box.addEventListener("change", describeModels);
    return { ...model, box };
  });
  $("models").replaceChildren(
    ...models.map((m) => {
      const level = m.level === m.name ? "" : `${m.level}, `;
      return make("label", {}, m.box, make("span", {}, m.name, " ", make("small", { textContent: `${level}${m.loaded ? "loaded" : "loads when asked"}` })));
    })
  );
  describeModels();
}

function describeModels() {
  const types = [...new Set(chosen().flatMap((m) => m.blanks))];
  $("models-hint").textContent = chosen().length ? "A model is loaded when it is first asked, and then stays in memory." : "Choose at least one model.";
  const partly = types.filter((type) => !chosen().every((m) => m.blanks.includes(type)));
  $("types").textContent =
    `The chosen models have ${types.map((t) => `[${t}]`).join(" ") || "none"}` +
    (partly.length ? `; not all of them have ${partly.map((t) => `[${t}]`).join(" ")}.` : ".");
  $("insert").replaceChildren(
    ...["_", ...types.map((type) => `[${type}]`)].map((blank) => {
      const button = make("button", { type: "button", textContent: blank, title: `Insert the blank ${blank}` });
      button.addEventListener("click", () => insert(() => blank));
      return button;
    }),
    markButton
  );
}

const markButton = make("button", { type: "button", textContent: "{mark selection}", title: "Put braces around the selected text" });
markButton.addEventListener("click", () => {
  insert((selected) => `{${selected}}`);
  if ($("text").value.slice(0, $("text").selectionStart).endsWith("{}")) $("text").selectionStart = $("text").selectionEnd = $("text").selectionStart - 1;
});

function insert(replacement) {
  const area = $("text");
  area.focus();
  const selected = area.value.slice(area.selectionStart, area.selectionEnd);
  // Unlike setRangeText this keeps the browser's undo.
  if (!document.execCommand("insertText", false, replacement(selected))) area.setRangeText(replacement(selected), area.selectionStart, area.selectionEnd, "end");
}

function settings() {
  const values = { greedy: $("way").value === "greedy", best: $("way").value === "best" };
  for (const id of SWITCHES) values[id] = $(id).checked;
  for (const id of NUMBERS) values[id] = $(id).value === "" ? null : Number($(id).value);
  return values;
}

function describeSettings() {
  const now = settings();
  $("settings-now").textContent = now.greedy
    ? ": greedy"
    : now.best
    ? `: the ${now.candidates} likeliest`
    : `: ${now.candidates} candidates, temperature ${now.temperature}, top-p ${now.top_p ?? "all"}, top-k ${now.top_k ?? "all"}, seed ${now.seed}`;
}

function fault(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

// What is under way: one thing at a time, with the seconds since it began.

async function during(what, work) {
  running?.abort();
  const control = (running = new AbortController());
  const begun = performance.now();
  const seconds = () => ((performance.now() - begun) / 1000).toFixed(1);
  const tick = setInterval(() => ($("status").textContent = `${what} … ${Math.floor(seconds())} s`), 1000);
  fault("");
  $("status").textContent = `${what} …`;
  $("cancel").hidden = false;
  try {
    const done = await work(control.signal);
    if (!control.signal.aborted) $("status").textContent = `${done} in ${seconds()} s.`;
  } catch (error) {
    if (control === running) $("status").textContent = error.name === "AbortError" ? "Cancelled." : "";
    if (error.name !== "AbortError") fault(error.message);
  } finally {
    clearInterval(tick);
    if (control === running) {
      running = null;
      $("cancel").hidden = true;
    }
  }
}

function ready() {
  if (!chosen().length) fault("Choose at least one model.");
  else if (!$("text").value.trim()) fault("Type a text with blanks first: She ate [ngram] for _.");
  else if ($("ask").reportValidity()) return true;
  return false;
}

// Candidates

async function fill() {
  if (!ready()) return;
  const text = $("text").value;
  const asked = chosen();
  const given = settings();
  await during("Filling", async (signal) => {
    shown = asked.map((model) => ({ model: model.name, candidates: [], state: model.loaded ? "waiting …" : "loading the model …" }));
    $("results").hidden = false;
    showColumns();
    const faults = [];
    // One request a model: each column is there as soon as its model is done.
    await Promise.all(
      asked.map(async (model, at) => {
        try {
          const answer = await call("infill", { model: model.name, text, ...given }, signal);
          shown[at] = { model: model.name, ...answer, state: `${answer.seconds.toFixed(2)} s` };
          model.loaded = true;
        } catch (error) {
          shown[at] = { model: model.name, candidates: [], state: error.name === "AbortError" ? "cancelled" : "", fault: error.name === "AbortError" ? "" : error.message };
          if (error.name === "AbortError") throw error;
          faults.push(error.message);
        } finally {
          showColumns(at);
        }
      })
    ).finally(() => showColumns());
    listModels(models);
    if (faults.length === asked.length && new Set(faults).size === 1) {
      $("results").hidden = true;
      throw new Error(faults[0]);
    }
    const number = shown.reduce((sum, column) => sum + column.candidates.length, 0);
    return `${number} candidate${number === 1 ? "" : "s"} of ${asked.length} model${asked.length === 1 ? "" : "s"}`;
  });
}

function showColumns(only) {
  const column = (found) => {
    const box = make("div", { className: "column" }, make("h3", { textContent: found.model }));
    if (found.state) box.append(make("p", { textContent: found.state }));
    if (found.fault) box.append(make("p", { className: "error", textContent: found.fault }));
    box.append(...found.candidates.map((candidate) => showCandidate(candidate, found)));
    return box;
  };
  const columns = $("columns");
  if (only === undefined || columns.children.length !== shown.length) columns.replaceChildren(...shown.map(column));
  else columns.children[only].replaceWith(column(shown[only]));
}

function showCandidate(candidate, column) {
  const text = make("p", { className: "text" });
  let done = 0;
  for (const answer of candidate.answers) {
    // Python counts characters, JavaScript UTF-16 units.
    text.append(piece(candidate.text, done, answer.start), showAnswer(answer));
    done = answer.start + answer.length;
  }
  text.append(piece(candidate.text, done));
  const level = make("button", { type: "button", className: "small", textContent: "Which level?" });
  level.addEventListener("click", () => judge(column.text, candidate.answers.map((answer) => answer.text)));
  const copied = make("button", { type: "button", className: "small", textContent: "Copy" });
  copied.addEventListener("click", () => copy(candidate.text, copied));
  const about = `p = ${probability(candidate.log_probability)} (${nats(candidate.log_probability)} nats)${candidate.complete ? "" : ", cut off"}${leftOut(candidate)}`;
  return make("div", { className: "candidate" }, text, make("div", { className: "row foot" }, make("span", { textContent: about }), make("span", { className: "buttons" }, level, copied)));
}

function leftOut({ left_out: [before, after] }) {
  return before + after ? `; not read: ${before} characters at the beginning, ${after} at the end` : "";
}

const piece = (text, start, end) => [...text].slice(start, end).join("");

function showAnswer(answer) {
  const parts = answer.tokens.filter(([text]) => text).map(([text, log]) => make("b", { className: `p${bin(log)}`, textContent: text }));
  const spoken = `${answer.text}, probability ${probability(answer.log_probability)}`;
  const box = make("span", { className: "answer", tabIndex: 0 }, ...parts);
  box.setAttribute("role", "note");
  box.setAttribute("aria-label", spoken);
  box.setAttribute("aria-describedby", "tip");
  for (const event of ["mouseenter", "focus"]) box.addEventListener(event, () => showTip(box, answer));
  box.addEventListener("mouseleave", leaveTip);
  box.addEventListener("blur", hideTip);
  return make("span", {}, box, make("span", { className: "figure", textContent: probability(answer.log_probability) }));
}

// The probabilities of an answer's tokens, beside it while it has the mouse or the focus.

let leaving = 0;
function showTip(box, answer) {
  clearTimeout(leaving);
  const items = answer.tokens.map(([text, log]) =>
    make("li", {}, make("span", { className: `p${bin(log)}`, textContent: visible(text) }), probability(log))
  );
  const tip = $("tip");
  tip.replaceChildren(make("strong", { textContent: `${probability(answer.log_probability)} = product over ${items.length} tokens` }), make("ol", {}, ...items));
  tip.hidden = false;
  const at = box.getClientRects()[0];
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  tip.style.left = `${Math.max(4, Math.min(at.left, innerWidth - width - 8))}px`;
  tip.style.top = `${at.bottom + height + 8 < innerHeight ? at.bottom + 4 : Math.max(4, at.top - height - 4)}px`;
}
function hideTip() {
  clearTimeout(leaving);
  $("tip").hidden = true;
}
function leaveTip() {
  leaving = setTimeout(hideTip, 250);
}

// Levels

async function judge(text, answers) {
  const asked = chosen();
  await during("Asking every model", async (signal) => {
    const body = { models: asked.map((model) => model.name), text };
    const answer = await call("levels", answers ? { ...body, answers } : body, signal);
    const scored = answer.models.filter((row) => !row.error);
    const faults = [...new Set(answer.models.filter((row) => row.error).map((row) => row.error))];
    for (const row of scored) models.find((model) => model.name === row.model).loaded = true;
    listModels(models);
    if (!scored.length) {
      $("levels").hidden = true;
      throw new Error(faults.join("\n"));
    }
    showLevels(answer);
    return `Judged by ${scored.length} model${scored.length === 1 ? "" : "s"}`;
  });
}

function showLevels(found) {
  const scored = found.models.filter((row) => !row.error);
  showJudged(scored[0]);
  const best = Math.max(...scored.map((row) => row.log_probability ?? -Infinity));
  const top = [...found.levels].sort((a, b) => b.share - a.share);
  $("shares").replaceChildren(
    ...found.levels.map(({ level, share }) => {
      const filled = make("div", { className: "fill" });
      filled.style.width = `${100 * share}%`;
      const track = make("div", { className: "track" }, filled);
      track.setAttribute("aria-hidden", "true");
      return make("div", { className: level === top[0].level ? "bar best" : "bar" }, make("span", { className: "label", textContent: level }), track, make("span", { className: "value", textContent: percent(share) }));
    })
  );
  const lead = top.length > 1 ? Math.log(top[0].share) - Math.log(top[1].share) : 0;
  $("verdict").textContent = !found.levels.length
    ? "No shares: choose models of at least two levels."
    : lead < 1
      ? `The models hardly differ: ${top[0].level} is only ${Math.exp(lead).toFixed(1)} times as probable as ${top[1].level}.`
      : `${top[0].level} finds these answers likeliest: ${lead < 9 ? Number(Math.exp(lead).toPrecision(2)) : powerOfTen(Math.round(lead / Math.LN10))} times as probable as ${top[1].level}.`;
  $("scores").tBodies[0].replaceChildren(
    ...found.models.map((row) =>
      row.error
        ? make("tr", {}, make("th", { scope: "row", textContent: row.model }), make("td", { textContent: row.level }), make("td", { colSpan: 3, className: "error", textContent: row.error }))
        : make("tr", {}, make("th", { scope: "row", textContent: row.model }), make("td", { textContent: row.level }), make("td", { className: "number", textContent: nats(row.log_probability) }), make("td", { className: "number", textContent: row.log_probability === best ? "best" : nats(row.log_probability === null ? null : row.log_probability - best) }), make("td", { textContent: row.blanks.join(", ") }))
    )
  );
  $("levels").hidden = false;
  $("levels-title").focus();
  $("levels").scrollIntoView({ block: "nearest" });
}

// The judged text: its pieces with the answers between them.
function showJudged({ pieces, answers }) {
  const parts = answers.flatMap((answer, at) => [pieces[at], make("span", { className: "judged", textContent: answer })]);
  $("judged").replaceChildren(...parts, pieces.at(-1));
}

// Copying

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https browsers lend the clipboard to pages of this machine alone.
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = label), 1500);
}

const escaped = (text) => text.replace(/[\\`*_{}[\]<>|#~]/g, "\\$&").replace(/\n/g, "<br>");

function asMarkdown() {
  const rows = shown.flatMap(({ model, candidates }) =>
    candidates.map((candidate) => {
      let [text, done] = ["", 0];
      for (const answer of candidate.answers) {
        text += `${escaped(piece(candidate.text, done, answer.start))}**${escaped(answer.text)}**`;
        done = answer.start + answer.length;
      }
      return `| ${escaped(model)} | ${text + escaped(piece(candidate.text, done))} | ${probability(candidate.log_probability)} |`;
    })
  );
  return ["| model | text | p |", "|---|---|---:|", ...rows, ""].join("\n");
}
const asText = () =>
  shown.map(({ model, candidates }) => `${model}\n${candidates.map((c) => `${c.text}\t(p = ${probability(c.log_probability)})\n`).join("")}`).join("\n");

// Beginning

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  fill();
});
$("again").addEventListener("click", () => {
  $("seed").value = Number($("seed").value) + 1;
  describeSettings();
  fill();
});
$("judge").addEventListener("click", () => ready() && judge($("text").value));
$("cancel").addEventListener("click", () => running?.abort());
$("copy-text").addEventListener("click", () => copy(asText(), $("copy-text")));
$("copy-markdown").addEventListener("click", () => copy(asMarkdown(), $("copy-markdown")));
$("settings").addEventListener("input", describeSettings);
$("tip").addEventListener("mouseenter", () => clearTimeout(leaving));
$("tip").addEventListener("mouseleave", leaveTip);
addEventListener("scroll", hideTip, { passive: true });
addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("tip").hidden ? running?.abort() : hideTip();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) fill();
});
const swatches = ["below 1 %", "1–5 %", "5–20 %", "20–50 %", "50 % and more"];
$("legend").append(
  "Colour: the probability of each token of an answer. ",
  ...swatches.flatMap((name, at) => [make("span", { className: `swatch p${at}`, textContent: name }), " "]),
  " The figure behind an answer is that of the whole answer, with its end. Point at an answer, or go there with Tab, for its tokens."
);

call("models")
  .then(({ models: found, settings: defaults }) => {
    for (const id of NUMBERS) $(id).value = defaults[id] ?? "";
    for (const id of SWITCHES) $(id).checked = defaults[id];
    $("way").value = defaults.greedy ? "greedy" : defaults.best ? "best" : "";
    describeSettings();
    listModels(found);
    if (!$("text").value) $("text").value = EXAMPLE;
    $("text").focus();
  })
  .catch((error) => fault(error.message));
