"use strict";
// The form: models, settings, examples; its state in links and across reloads.

const NUMBERS = ["candidates", "temperature", "top_p", "top_k", "max_answer_words", "max_answer_tokens", "seed"];
const SWITCHES = ["distinct", "cut"];
const CONDITIONS = ["level", "l1"]; // settings of conditioned models
const CHECKED_AT_FIRST = 6;
const EXAMPLES = [
  "She ate [ngram] for [word].",
  "Dear Sir, I am writing to [ngram]. I look forward to _ from you.",
  "My name is Anna. [sentence] I like it very much.",
  "Yesterday I {goed} to the cinema {with my friends}.",
];
let models = [];
let about = {}; // device, dtype, versions

const chosen = () => models.filter((model) => model.box.checked);

function listModels(found) {
  models = found.map((model, at) => {
    const box = make("input", { type: "checkbox", checked: at < CHECKED_AT_FIRST });
    box.addEventListener("change", describeModels);
    return { ...model, box, note: make("small") };
  });
  for (const id of CONDITIONS) {
    const values = [...new Set(found.flatMap((model) => model.condition[id] ?? []))];
    $(id).replaceChildren(new Option("none", ""), ...values.map((value) => new Option(value)));
    $(id).parentElement.hidden = !values.length;
  }
  $("models").replaceChildren(...models.map((m) => make("label", {}, m.box, make("bdi", { className: "name" }, ...named(m.name)), m.note)));
  describeModels();
}

function describeModels() {
  for (const m of models) m.note.textContent = (m.level === m.name ? "" : `${m.level}, `) + (m.loaded ? "loaded" : "not loaded yet");
  const types = [...new Set(chosen().flatMap((m) => m.blanks))];
  $("models-hint").textContent = !chosen().length
    ? "Choose at least one model."
    : chosen().length > about.max_loaded
    ? `Only ${about.max_loaded} models fit in memory: with more chosen, each is reloaded every time.`
    : "A model is loaded when first used.";
  const partly = types.filter((type) => !chosen().every((m) => m.blanks.includes(type)));
  $("types").textContent =
    `The chosen models have ${types.map((t) => `[${t}]`).join(" ") || "none"}` +
    (partly.length ? `; not all of them have ${partly.map((t) => `[${t}]`).join(" ")}.` : ".");
  $("insert").replaceChildren(
    make("span", { textContent: "Insert" }),
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
  const area = $("text");
  if (area.value.slice(0, area.selectionStart).endsWith("{}")) area.selectionStart = area.selectionEnd = area.selectionStart - 1;
});

function insert(replacement) {
  const area = $("text");
  area.focus();
  const selected = area.value.slice(area.selectionStart, area.selectionEnd);
  // Unlike setRangeText this keeps the browser's undo.
  if (!document.execCommand("insertText", false, replacement(selected))) area.setRangeText(replacement(selected), area.selectionStart, area.selectionEnd, "end");
}

for (const example of EXAMPLES) {
  const button = make("button", { type: "button", textContent: example });
  button.addEventListener("click", () => {
    $("text").select();
    insert(() => example);
  });
  $("examples").append(button);
}

// Settings

function settings() {
  const values = { method: $("method").value };
  for (const id of SWITCHES) values[id] = $(id).checked;
  for (const id of NUMBERS) values[id] = $(id).value === "" ? null : Number($(id).value);
  for (const id of CONDITIONS) values[id] = $(id).value || null;
  return values;
}

function setSettings(values) {
  for (const id of [...NUMBERS, ...CONDITIONS]) $(id).value = values[id] ?? "";
  for (const id of SWITCHES) $(id).checked = values[id];
  $("method").value = values.method;
}

function describe(values) {
  const most = values.max_answer_words;
  const conditions = CONDITIONS.filter((id) => values[id]).map((id) => `, ${id} ${values[id]}`);
  return describeMethod(values) + conditions.join("") + (most === 1 ? "" : `, ${most ? `at most ${most}` : "any number of"} words in a word blank`);
}

function describeMethod(values) {
  if (values.method === "greedy") return "greedy";
  if (values.method === "beam") return `the ${values.candidates} likeliest`;
  const drawn = `temperature ${values.temperature}, top-p ${values.top_p ?? "all"}, top-k ${values.top_k ?? "all"}, seed ${values.seed}`;
  return `${values.candidates} candidate${values.candidates === 1 ? "" : "s"}${values.distinct ? ", no duplicates" : ""}, ${drawn}`;
}

function describeSettings() {
  const now = settings();
  $("settings-now").textContent = `: ${describe(now)}`;
  $("again").disabled = now.method !== "sample"; // nothing is drawn
}

// The whole form as a string, for links and the tab's session storage; it is never put into the history.

function formState() {
  const state = new URLSearchParams({ text: $("text").value, method: $("method").value });
  for (const model of chosen()) state.append("model", model.name);
  for (const id of [...NUMBERS, ...CONDITIONS]) state.set(id, $(id).value);
  for (const id of SWITCHES) state.set(id, $(id).checked);
  return state.toString();
}

function restore(string) {
  const state = new URLSearchParams(string);
  if (state.has("text")) $("text").value = state.get("text");
  for (const id of [...NUMBERS, ...CONDITIONS, "method"]) if (state.has(id)) $(id).value = state.get(id);
  for (const id of SWITCHES) if (state.has(id)) $(id).checked = state.get(id) === "true";
  const names = state.getAll("model");
  if (names.length) for (const model of models) model.box.checked = names.includes(model.name);
  const missing = names.filter((name) => !models.some((model) => model.name === name));
  if (missing.length) fault(`This server does not have: ${missing.join(", ")}.`);
  describeModels();
  describeSettings();
}

function keepDraft() {
  // The form no longer matches the link that opened the page.
  if (location.hash) history.replaceState(null, "", location.pathname);
  try {
    sessionStorage.setItem("draft", formState());
  } catch {
    // Full or forbidden: a reload loses the text.
  }
}

function begin(found) {
  about = found.about;
  listModels(found.models);
  setSettings(found.settings);
  $("text").value = EXAMPLES[0];
  restore(location.hash.slice(1) || sessionStorage.getItem("draft") || "");
  $("ask").addEventListener("input", keepDraft);
  $("settings").addEventListener("input", describeSettings);
  addEventListener("hashchange", () => location.hash && restore(location.hash.slice(1)));
  $("text").focus();
}

const link = () => `${location.origin}${location.pathname}#${formState()}`;
