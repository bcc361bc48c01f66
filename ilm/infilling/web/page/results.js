"use strict";
// Shows candidates, levels and numbers.
// Text is inserted through textContent only, never as markup, so that nothing a model or learner writes can run.

const $ = (id) => document.getElementById(id);
const BOUNDS = [0.01, 0.05, 0.2, 0.5];
let shown = []; // each column: the server's response and a state
let judgement = null; // the last response about levels

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Computed from logarithms, since the probability of a long answer underflows a float. Two digits, as at the terminal:
// 0.34, 0.0012, 3.4e-06.
function probability(log) {
  if (log === null) return "0";
  let exponent = Math.floor(log / Math.LN10);
  let digits = Math.exp(log - exponent * Math.LN10).toFixed(1);
  if (digits === "10.0") [digits, exponent] = ["1.0", exponent + 1];
  if (exponent >= -4) return log < 0 && exponent === 0 ? "> 0.99" : String(Number(`${digits}e${exponent}`));
  return `${digits.replace(".0", "")}e-${String(-exponent).padStart(2, "0")}`;
}
const nats = (log) => (log === null ? "−∞" : log.toFixed(2).replace("-", "−"));
const bin = (log) => (log === null ? 0 : BOUNDS.filter((bound) => Math.exp(log) >= bound).length);
// A name may break after its separators.
const named = (name) => name.split(/(?<=[_/.-])/).flatMap((part, at) => (at ? [document.createElement("wbr"), part] : [part]));
const visible = (text) => text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥");

// A text in pieces: `marked` of each answer, `plain` of the text between. Offsets count characters, as in Python, not the
// UTF-16 units of JavaScript.
function inPieces(text, answers, plain, marked) {
  const characters = [...text];
  const found = [];
  let done = 0;
  for (const answer of answers) {
    found.push(plain(characters.slice(done, answer.start).join("")), marked(answer));
    done = answer.start + answer.length;
  }
  return [...found, plain(characters.slice(done).join(""))];
}

// A paragraph of such pieces, with the characters at the start and end that the model did not read set apart.
function paragraph(text, answers, [before, after], marked) {
  const parts = inPieces(text, answers, (piece) => piece, marked);
  const [first, last] = [[...parts.shift()], [...parts.pop()]];
  const unread = (characters) => make("span", { className: "unread", title: "Not read by the model", textContent: characters.join("") });
  const end = last.length - after;
  return make(
    "p",
    { className: "text", dir: "auto" },
    ...(before ? [unread(first.slice(0, before))] : []),
    ...[first.slice(before).join(""), ...parts, last.slice(0, end).join("")],
    ...(after ? [unread(last.slice(end))] : [])
  );
}

// Candidates

function showColumns(only) {
  const columns = $("columns");
  if (only === undefined || columns.children.length !== shown.length) columns.replaceChildren(...shown.map(showColumn));
  else columns.children[only].replaceWith(showColumn(shown[only]));
  // Scroll long texts to their first answer.
  for (const text of columns.querySelectorAll(".text")) {
    const answer = text.querySelector(".answer, .judged");
    if (answer) text.scrollTop += answer.getBoundingClientRect().top - text.getBoundingClientRect().top - text.clientHeight / 3;
  }
}

function showColumn(found) {
  const level = found.level === found.model ? [] : [make("bdi", { className: "level", textContent: found.level })];
  const box = make("section", { className: "column" }, make("h3", {}, make("bdi", { className: "name" }, ...named(found.model)), " ", ...level));
  box.setAttribute("aria-label", `Candidates of ${found.model}`);
  box.append(make("p", { className: "state", textContent: found.state }));
  if (found.fault) box.append(make("p", { className: "error", textContent: found.fault }));
  if (found.original) box.append(showOriginal(found.original));
  box.append(...found.candidates.map((candidate, at) => showCandidate(candidate, found, at + 1)));
  return box;
}

function showState(at, state) {
  if (shown[at].settings || shown[at].fault) return; // already done
  shown[at].state = state;
  $("columns").children[at].querySelector(".state").textContent = state;
}

function showOriginal(original) {
  const text = paragraph(original.text, original.answers, original.left_out, (answer) =>
    make("span", {}, make("span", { className: "judged", textContent: answer.text }), ...(original.error ? [] : [figure(answer)])));
  const open = original.assumed.length ? "; other blanks as in candidate 1" : "";
  const about = original.error ?? `original: p = ${probability(original.log_probability)} (${nats(original.log_probability)} nats)${open}`;
  return make("div", { className: "candidate original" }, text, make("div", { className: "row foot" }, make("span", { textContent: about })));
}

function showCandidate(candidate, column, rank) {
  const text = paragraph(candidate.text, candidate.answers, candidate.left_out, showAnswer);
  const level = make("button", { type: "button", className: "small", textContent: "Which level?" });
  level.addEventListener("click", () => judge(column.text, candidate.answers.map((answer) => answer.text)));
  const copied = make("button", { type: "button", className: "small", textContent: "Copy" });
  copied.addEventListener("click", () => copy(candidate.text, copied));
  for (const button of [level, copied]) button.setAttribute("aria-label", `${button.textContent} (candidate ${rank} of ${column.model})`);
  const about = `${rank}: p = ${probability(candidate.log_probability)} (${nats(candidate.log_probability)} nats)${candidate.complete ? "" : ", not finished"}${leftOut(candidate.left_out)}`;
  return make("div", { className: "candidate" }, text, make("div", { className: "row foot" }, make("span", { textContent: about }), make("span", { className: "buttons" }, level, copied)));
}

function leftOut([before, after]) {
  return before + after ? `; not read: ${before} characters at the beginning, ${after} at the end` : "";
}

function showAnswer(answer) {
  const parts = answer.tokens.slice(0, -1).map(([text, log]) => make("b", { className: `p${bin(log)}`, textContent: text }));
  // The end is a token too, and part of the probability.
  parts.push(make("b", { className: `end p${bin(answer.tokens.at(-1)[1])}` }));
  const spoken = `${answer.text}, probability ${probability(answer.log_probability)}`;
  const box = make("span", { className: "answer", tabIndex: 0 }, ...parts);
  box.setAttribute("role", "note");
  box.setAttribute("aria-label", spoken);
  box.setAttribute("aria-describedby", "tip");
  for (const event of ["mouseenter", "focus"]) box.addEventListener(event, () => showTip(box, answer));
  box.addEventListener("mouseleave", leaveTip);
  box.addEventListener("blur", hideTip);
  box.addEventListener("keydown", scrollTip);
  return make("span", {}, box, figure(answer));
}

function figure(answer) {
  return make("span", { className: "figure", textContent: probability(answer.log_probability) });
}

// The tooltip: an answer's tokens and their probabilities, shown on hover or focus.

let leaving = 0;
let tipOwner = null;
function showTip(box, answer) {
  clearTimeout(leaving);
  const end = answer.tokens.length - 1;
  const items = answer.tokens.map(([text, log], at) =>
    make("li", {}, make("bdi", { className: `p${bin(log)}`, textContent: at === end ? "(end)" : visible(text) }), probability(log))
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
// The tooltip of a long answer may be taller than the window, and cannot be reached with Tab.
function scrollTip(event) {
  const lines = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!lines || $("tip").hidden) return;
  event.preventDefault();
  $("tip").scrollTop += 40 * lines;
}
function leaveTip() {
  leaving = setTimeout(hideTip, 250);
}

$("tip").addEventListener("mouseenter", () => clearTimeout(leaving));
$("tip").addEventListener("mouseleave", leaveTip);
// Moving to an answer with Tab scrolls the page; the tooltip then follows it. Scrolling within the tooltip is left alone.
const onScroll = (event) => {
  if ($("tip").hidden || event.target === $("tip")) return;
  if (document.activeElement === tipOwner) placeTip();
  else hideTip();
};
addEventListener("scroll", onScroll, { passive: true, capture: true });
const swatches = ["below 0.01", "0.01–0.05", "0.05–0.2", "0.2–0.5", "0.5 and more"];
$("legend").append(
  "Colour and underline: the probability of each token of an answer. ",
  ...swatches.flatMap((name, at) => [make("span", { className: `swatch p${at}`, textContent: name }), " "]),
  make("span", { className: "end p2" }),
  " The small box after an answer is its end. The number is the probability of the whole answer: the product over its tokens and end. Hover over an answer, or move to it with Tab, to see its tokens."
);

// Levels

// −49.43 (−30.10, −19.33): all answers, then each given earlier ones.
function ofEach({ log_probability: total, answers }) {
  return answers.length > 1 ? `${nats(total)} (${answers.map((answer) => nats(answer.log_probability)).join(", ")})` : nats(total);
}

function showLevels(found) {
  judgement = found;
  const scored = found.models.filter((row) => !row.error);
  showJudged(scored[0], found.left_out);
  const best = Math.max(...scored.map((row) => row.log_probability ?? -Infinity));
  const top = [...found.levels].sort((a, b) => b.share - a.share);
  $("shares").replaceChildren(
    ...found.levels.map(({ level, share }) => {
      const filled = make("div", { className: "fill" });
      filled.style.width = `${100 * share}%`;
      const track = make("div", { className: "track" }, filled);
      track.setAttribute("aria-hidden", "true");
      return make("div", { className: level === top[0].level ? "bar best" : "bar" }, make("span", { className: "label" }, ...named(level)), track, make("span", { className: "value", textContent: share ? probability(Math.log(share)) : "0" }));
    })
  );
  const times = top.length > 1 ? top[0].share / top[1].share : 1;
  const ratio = times > 1e6 ? "more than a million" : Number(times.toPrecision(2)).toLocaleString("en");
  $("verdict").textContent = !found.levels.length
    ? "No shares: choose models of at least two levels."
    : times < Math.E
      ? `The models hardly differ: ${top[0].level} is only ${ratio} times as probable as ${top[1].level}.`
      : `${top[0].level} finds these answers likeliest, ${ratio} times as probable as ${top[1].level}.`;
  $("cautions").replaceChildren(...found.cautions.map((caution) => make("li", { textContent: caution })));
  $("cautions").hidden = !found.cautions.length;
  $("scores").tBodies[0].replaceChildren(
    ...found.models.map((row) =>
      row.error
        ? make("tr", {}, make("th", { scope: "row", className: "name", dir: "auto" }, ...named(row.model)), make("td", { className: "name" }, ...named(row.level)), make("td", { colSpan: 3, className: "error", textContent: row.error }))
        : make("tr", {}, make("th", { scope: "row", className: "name", dir: "auto" }, ...named(row.model)), make("td", { className: "name" }, ...named(row.level)), make("td", { className: "number", textContent: ofEach(row) }), make("td", { className: "number", textContent: row.log_probability === best ? "best" : nats(row.log_probability === null ? null : row.log_probability - best) }), make("td", { textContent: row.blanks.join(", ") }))
    )
  );
  $("levels").hidden = false;
  $("levels-title").focus();
  $("levels").scrollIntoView({ block: "nearest" });
}

function showJudged({ text, answers }, left_out) {
  const found = paragraph(text, answers, left_out, (answer) => make("span", { className: "judged", textContent: answer.text }));
  found.id = "judged";
  $("judged").replaceWith(found);
  $("judged-part").textContent = left_out[0] + left_out[1] ? `The text is too long${leftOut(left_out)}. All models read the same part.` : "";
}
