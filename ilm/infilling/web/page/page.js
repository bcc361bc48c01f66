"use strict";
// Requests to the server. form.js: the form; results.js: shows results; export.js: copies and saves them.

const POLL = 1000; // milliseconds
const AT_ONCE = 2; // requests: browsers open six connections to a server in all tabs, and progress needs one
let running = null; // the AbortController of the pending work

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
  if (signal?.aborted) throw new DOMException("", "AbortError");
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function fault(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

// Runs one thing at a time. Seconds and progress are not in the live region, so screen readers do not announce them.

async function during(what, work, progress) {
  running?.abort();
  const control = (running = new AbortController());
  const begun = performance.now();
  const own = `${Date.now()}-${Math.random()}`;
  const seconds = () => ((performance.now() - begun) / 1000).toFixed(1);
  let asking = false;
  const tick = setInterval(async () => {
    $("clock").textContent = `${Math.floor(seconds())} s`;
    if (asking) return;
    asking = true;
    const jobs = await call("progress", undefined, control.signal).then((found) => found.jobs, () => []);
    asking = false;
    if (control === running) jobs.forEach((job, at) => job.request?.startsWith(own) && progress(Number(job.request.slice(own.length + 1)), describeJob(job, at)));
  }, POLL);
  fault("");
  $("clock").textContent = "";
  $("status").textContent = `${what} …`;
  $("cancel").hidden = false;
  try {
    const done = await work(control.signal, (number) => `${own}/${number}`);
    if (control === running) $("status").textContent = `${done} in ${seconds()} s.`;
  } catch (error) {
    if (control === running) {
      $("status").textContent = error.name === "AbortError" ? "Cancelled." : "";
      if (error.name !== "AbortError") fault(error.message);
    }
  } finally {
    clearInterval(tick);
    if (control === running) {
      running = null;
      $("clock").textContent = "";
      $("cancel").hidden = true;
    }
  }
}

function describeJob({ doing, model, steps }, before) {
  if (doing === "waiting") return before ? `waiting, ${before} ahead` : "waiting";
  if (doing === "loading") return `loading ${model}`;
  return doing === "filling" ? `writing, ${steps} token${steps === 1 ? "" : "s"} so far` : `judging with ${model}`;
}

function ready() {
  if (!chosen().length) fault("Choose at least one model.");
  else if (!$("text").value.trim()) fault("Type a text with blanks first: She ate [ngram] for _.");
  else if ($("ask").checkValidity()) return true;
  else {
    $("settings").open = true; // closed settings cannot show what is wrong
    $("ask").reportValidity();
  }
  return false;
}

const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

async function inTurns(items, act) {
  const left = items.entries();
  const turn = async () => {
    for (const [at, item] of left) await act(item, at);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, turn));
}

async function fill() {
  if (!ready()) return;
  const text = $("text").value;
  const asked = chosen();
  const given = settings();
  const work = async (signal, name) => {
    const columns = asked.map((model) => ({ model: model.name, level: model.level, candidates: [], state: "waiting" }));
    shown = columns;
    $("results").hidden = false;
    showColumns();
    const faults = [];
    // One request per model, so that each column appears as soon as its model is done.
    await inTurns(asked, async (model, at) => {
      try {
        const answer = await call("infill", { model: model.name, text, ...given, request: name(at) }, signal);
        columns[at] = { ...answer, state: `${answer.seconds.toFixed(2)} s` };
        model.loaded = true;
      } catch (error) {
        const left = error.name === "AbortError";
        columns[at] = { ...columns[at], state: left ? "cancelled" : "", fault: left ? "" : error.message };
        if (!left) faults.push(error.message);
      } finally {
        if (shown === columns) showColumns(at);
      }
    });
    signal.throwIfAborted();
    refreshModels();
    if (faults.length === asked.length && new Set(faults).size === 1) {
      $("results").hidden = true;
      throw new Error(faults[0]);
    }
    const number = columns.reduce((sum, column) => sum + column.candidates.length, 0);
    const unknown = notBlanks(text, asked);
    const note = unknown.length ? ` (${unknown.join(" ")} read as text: not a blank for every model)` : "";
    return `${counted(number, "candidate")} from ${counted(asked.length, "model")}${note}`;
  };
  await during("Filling", work, (at, state) => showState(at, state));
}

// Brackets that look like a blank, perhaps misspelt, but are not one for every model.
function notBlanks(text, asked) {
  const typed = text.matchAll(/\[(\w+)(?::[^\]\n]*)?\]/g);
  const isBlank = (name) => name === "MASK" || asked.every((model) => model.blanks.includes(name));
  return [...new Set([...typed].filter(([, name]) => !isBlank(name)).map(([whole]) => whole))];
}

async function judge(text, answers) {
  const asked = chosen();
  const work = async (signal, name) => {
    const body = { models: asked.map((model) => model.name), text, cut: settings().cut, request: name(0) };
    const answer = await call("levels", answers ? { ...body, answers } : body, signal);
    refreshModels();
    const scored = answer.models.filter((row) => !row.error);
    if (!scored.length) {
      $("levels").hidden = true;
      throw new Error([...new Set(answer.models.map((row) => row.error))].join("\n"));
    }
    showLevels(answer);
    return `Judged by ${counted(scored.length, "model")}`;
  };
  await during("Judging", work, (_, state) => ($("clock").textContent += `, ${state}`));
}

// Which models are in memory now; a model may have been evicted for another.
async function refreshModels() {
  const found = await call("models").catch(() => ({ models: [] }));
  for (const { name, loaded } of found.models) models.find((model) => model.name === name).loaded = loaded;
  describeModels();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  fill();
});
$("again").addEventListener("click", () => {
  $("seed").value = Number($("seed").value) + 1;
  describeSettings();
  keepDraft();
  fill();
});
$("judge").addEventListener("click", () => ready() && judge($("text").value));
$("cancel").addEventListener("click", () => running?.abort());
addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("tip").hidden ? running?.abort() : hideTip();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) fill();
});
call("models").then(begin).catch((error) => fault(error.message));
