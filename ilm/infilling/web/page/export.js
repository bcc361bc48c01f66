"use strict";
// Copies and saves candidates and levels: as text, a Markdown table, CSV, and JSON with all that reproduces the numbers.

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS, browsers allow the clipboard API only on localhost.
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = (button.dataset.label ??= button.textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = label), 1500);
}

function save(name, kind, text) {
  const url = URL.createObjectURL(new Blob([text], { type: kind }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
const saveJson = (name, value) => save(name, "application/json", `${JSON.stringify({ made: new Date().toISOString(), about, ...value }, null, 1)}\n`);
const saveCsv = (name, rows) => save(name, "text/csv;charset=utf-8", csv(rows));

// Rows are objects with the same keys, which become the header.
function csv(rows) {
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const line = (values) => `${values.map((value) => cell(String(value ?? ""))).join(",")}\r\n`;
  return line(Object.keys(rows[0])) + rows.map((row) => line(Object.values(row))).join("");
}

const escaped = (text) => text.replace(/[\\`*_{}[\]<>|#~]/g, "\\$&").replace(/\r?\n|\r/g, "<br>");
// In Markdown, ** next to an inner space is not bold.
const bold = (text) => text.replace(/^(\s*)(.*?)(\s*)$/s, (_, before, inner, after) => `${escaped(before)}${inner && `**${escaped(inner)}**`}${escaped(after)}`);

// Candidates

const finished = () => shown.filter((column) => column.settings);
const filled = ({ text, answers }) => inPieces(text, answers, escaped, (answer) => bold(answer.text)).join("");

function candidatesAsMarkdown() {
  const rows = finished().flatMap(({ model, original, candidates }) => {
    const own = original && !original.error ? [`| ${escaped(model)}, original | ${filled(original)} | ${probability(original.log_probability)} |`] : [];
    return [...own, ...candidates.map((candidate) => `| ${escaped(model)} | ${filled(candidate)} | ${probability(candidate.log_probability)} |`)];
  });
  const made = finished().map(({ model, fingerprint, settings: used }) => `${escaped(model)} (${fingerprint}): ${describe(used)}`);
  return ["| model | text | p |", "|---|---|---:|", ...rows, "", ...made.map((line) => `- ${line}`), ""].join("\n");
}
const candidatesAsText = () =>
  finished()
    .map(({ model, candidates }) => `${model}\n${candidates.map((c) => `${c.text}\t(p = ${probability(c.log_probability)})\n`).join("")}`)
    .join("\n");

function candidatesAsRows() {
  return finished().flatMap(({ model, level, fingerprint, text, original, candidates, settings: used }) => {
    const row = (rank, { text: whole, answers, log_probability, complete, left_out }) => ({
      ...{ model, level, fingerprint, text, rank, filled: whole, answers: JSON.stringify(answers.map((answer) => answer.text)) },
      ...{ log_probability_nats: log_probability, complete, not_read_before: left_out[0], not_read_after: left_out[1] },
      ...used,
    });
    const own = original && !original.error ? [row("original", original)] : [];
    return [...own, ...candidates.map((candidate, at) => row(at + 1, candidate))];
  });
}

// Levels

const share = (level) => judgement.levels.find((found) => found.level === level)?.share;

function levelsAsMarkdown() {
  const judged = judgement.models.find((row) => !row.error);
  const rows = judgement.models.map((row) => `| ${escaped(row.model)} | ${escaped(row.level)} | ${row.error ? escaped(row.error) : nats(row.log_probability)} | ${share(row.level) === undefined ? "" : probability(Math.log(share(row.level)))} |`);
  return [filled(judged), "", "| model | level | log-probability (nats) | share |", "|---|---|---:|---:|", ...rows, "", ...judgement.cautions.map((caution) => `- ${escaped(caution)}`), ""].join("\n");
}
const levelsAsRows = () =>
  judgement.models.map(({ model, level, fingerprint, log_probability, error, blanked, answers }) => ({
    ...{ model, level, fingerprint, log_probability_nats: log_probability, share: share(level), error, text: blanked },
    ...{ answers: answers && JSON.stringify(answers.map((answer) => answer.text)) },
    ...{ not_read_before: judgement.left_out[0], not_read_after: judgement.left_out[1] },
  }));

for (const [id, act] of Object.entries({
  link: (button) => copy(link(), button),
  "copy-text": (button) => copy(candidatesAsText(), button),
  "copy-markdown": (button) => copy(candidatesAsMarkdown(), button),
  "save-csv": () => finished().length && saveCsv("candidates.csv", candidatesAsRows()),
  "save-json": () => saveJson("candidates.json", { models: finished() }),
  "levels-markdown": (button) => copy(levelsAsMarkdown(), button),
  "levels-csv": () => saveCsv("levels.csv", levelsAsRows()),
  "levels-json": () => saveJson("levels.json", judgement),
}))
  $(id).addEventListener("click", (event) => act(event.currentTarget));
