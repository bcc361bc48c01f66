"use strict";
// The form, and what it asks the server for; results.js shows the answers.

const NUMBERS = ["candidates", "temperature", "top_p", "top_k", "max_answer_tokens", "seed"];
const SWITCHES = ["distinct", "cut"];
const CHECKED_AT_FIRST = 6;
const EXAMPLE = "She ate [ngram] for [word].";
let models = [];
let running = null; // the AbortController of what is pending

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

// The form

const chosen = () => models.filter((model) => model.box.checked);

function listModels(found) {
  models = found.map((model, at) => {
    const box = make("input", { type: "checkbox", checked: at < CHECKED_AT_FIRST });
    box.addEventListener("change", describeModels);
    return { ...model, box, note: make("small") };
  });
  $("models").replaceChildren(...models.map((m) => make("label", {}, m.box, make("span", {}, m.name, " ", m.note))));
  describeModels();
}

function describeModels() {
  for (const m of models) m.note.textContent = (m.level === m.name ? "" : `${m.level}, `) + (m.loaded ? "loaded" : "loads when asked");
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
    describeModels();
    if (faults.length === asked.length && new Set(faults).size === 1) {
      $("results").hidden = true;
      throw new Error(faults[0]);
    }
    const number = shown.reduce((sum, column) => sum + column.candidates.length, 0);
    return `${number} candidate${number === 1 ? "" : "s"} of ${asked.length} model${asked.length === 1 ? "" : "s"}`;
  });
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
    describeModels();
    if (!scored.length) {
      $("levels").hidden = true;
      throw new Error(faults.join("\n"));
    }
    showLevels(answer);
    return `Judged by ${scored.length} model${scored.length === 1 ? "" : "s"}`;
  });
}

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
addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("tip").hidden ? running?.abort() : hideTip();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) fill();
});
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
