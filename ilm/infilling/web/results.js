"use strict";
// How candidates, levels and numbers are shown, and copied.
// Texts reach the page by textContent alone, never as markup: what a model or a learner writes stays text.

const $ = (id) => document.getElementById(id);
const BOUNDS = [0.01, 0.05, 0.2, 0.5];
let shown = []; // of each column: {model, candidates}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
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

// Candidates

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
  // Of a long text, which is scrolled, the first answer.
  for (const text of columns.querySelectorAll(".text")) {
    const answer = text.querySelector(".answer");
    if (answer) text.scrollTop += answer.getBoundingClientRect().top - text.getBoundingClientRect().top - text.clientHeight / 3;
  }
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
let tipOwner = null;
function showTip(box, answer) {
  clearTimeout(leaving);
  const items = answer.tokens.map(([text, log]) =>
    make("li", {}, make("span", { className: `p${bin(log)}`, textContent: visible(text) }), probability(log))
  );
  const tip = $("tip");
  tip.replaceChildren(make("strong", { textContent: `${probability(answer.log_probability)} = product over ${items.length} tokens` }), make("ol", {}, ...items));
  tip.hidden = false;
  tipOwner = box;
  placeTip();
}
function placeTip() {
  const [tip, lines] = [$("tip"), tipOwner.getClientRects()];
  const at = { left: lines[0].left, top: lines[0].top, bottom: lines[lines.length - 1].bottom };
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

$("tip").addEventListener("mouseenter", () => clearTimeout(leaving));
$("tip").addEventListener("mouseleave", leaveTip);
// Going to an answer by Tab scrolls to it. Not so within the tip itself.
const onScroll = (event) => {
  if ($("tip").hidden || event.target === $("tip")) return;
  if (document.activeElement === tipOwner) placeTip();
  else hideTip();
};
addEventListener("scroll", onScroll, { passive: true, capture: true });
const swatches = ["below 1 %", "1–5 %", "5–20 %", "20–50 %", "50 % and more"];
$("legend").append(
  "Colour: the probability of each token of an answer. ",
  ...swatches.flatMap((name, at) => [make("span", { className: `swatch p${at}`, textContent: name }), " "]),
  " The figure behind an answer is that of the whole answer, with its end. Point at an answer, or go there with Tab, for its tokens."
);

// Levels

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
