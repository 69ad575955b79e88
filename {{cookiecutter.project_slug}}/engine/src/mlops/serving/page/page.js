// The page of a model server: it asks the same addresses as any other client.

import { ask, askKey, onKey, trouble } from "./access.js";
import { showAnswer, showWhy } from "./answer.js";
import { rendered } from "./card.js";
import { bar, breakable, fill, find, node, number } from "./dom.js";
import { Figures } from "./figures.js";
import { Form } from "./form.js";

let model = null;
let form = null;
let example = 0;
let asked = 0;

async function answered(path, row) {
  const json = { "Content-Type": "application/json" };
  const response = await ask(path, row && { method: "POST", headers: json, body: JSON.stringify(row) });
  if (response.status === 401) askKey();
  return response;
}

onKey(load);

async function load() {
  const response = await answered("model").catch(() => null);
  if (response?.status === 401) return;
  if (!response?.ok) {
    trouble(response ? await reason(response) : "The server does not answer. Reload the page to try again.");
    return;
  }
  trouble("");
  model = await response.json();
  find("key").value = "";
  describe();
  form = new Form(model.columns);
  find("model").hidden = false;
  showExample();
}

function describe() {
  document.title = model.name;
  find("name").textContent = model.name;
  find("task").textContent = `${model.task[0].toUpperCase()}${model.task.slice(1)} model of ${model.target}`;
  find("summary").textContent = model.description;
  const rows = model.trained_on.rows;
  const facts = [
    ["Digest", node("code", { title: model.digest }, model.digest.slice(0, 12))],
    ["Trained on", rows == null ? "–" : `${number(rows)} rows`],
    ["Estimator", node("span", { title: model.estimator }, model.estimator.split(".").at(-1))],
    ["Runtime", model.runtime],
    ["Loaded", since(model.loaded_seconds)],
  ];
  fill(find("facts"), facts.map(([name, value]) =>
    node("div", {}, node("dt", {}, name), node("dd", {}, value))));
  const measured = Object.entries(model.metrics);
  find("metrics-section").hidden = !measured.length;
  find("metrics-hint").textContent = `${number(model.holdout_rows)} rows that the model was not ` +
    `trained on; intervals hold ${Math.round(100 * model.confidence)}%.`;
  fill(find("metrics"),
    node("thead", {}, node("tr", {}, node("th", { scope: "col" }, "metric"),
      node("th", { scope: "col", class: "n" }, "value"), node("th", { scope: "col", class: "n" }, "interval"),
      node("td", { class: "range" }))),
    node("tbody", {}, measured.map(([name, value]) => measuredRow(name, value))));
  find("card-section").hidden = !model.card;
  fill(find("card"), rendered(model.card));
}

function measuredRow(name, { value, low, high }) {
  const known = low != null && high != null;
  const inUnit = known && low >= 0 && high <= 1;
  const text = (figure) => (figure == null ? "undefined" : number(figure, 3));
  return node("tr", {}, node("th", { scope: "row" }, ...breakable(name)),
    node("td", { class: "n" }, text(value)),
    node("td", { class: "n" }, known ? `${text(low)} to ${text(high)}` : ""),
    node("td", { class: "range", "aria-hidden": "true" },
      inUnit ? node("div", { class: "track" }, bar(low, high), mark(value)) : null));
}

function mark(value) {
  const made = node("b");
  made.style.left = `clamp(0px, ${100 * value}% - 1px, 100% - 2px)`;
  return made;
}

function since(seconds) {
  const moment = new Date(Date.now() - 1000 * seconds);
  return node("time", { datetime: moment.toISOString() },
    moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }));
}

function showExample() {
  const examples = model.examples;
  find("another").hidden = examples.length < 2;
  find("example-hint").textContent = examples.length
    ? `Filled with row ${example + 1} of ${examples.length} that the bundle keeps as examples.`
    : "";
  if (examples.length) form.show(examples[example]);
}

find("another").addEventListener("click", () => {
  example = (example + 1) % model.examples.length;
  showExample();
});

find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const row = form.row();
  if (form.unreadable()) return;
  const turn = ++asked;
  const button = find("predict");
  button.setAttribute("aria-busy", "true");
  fill(find("why"));
  try {
    await answer(row, () => turn === asked);
  } catch {
    refuse("The server does not answer. Try again.");
  } finally {
    if (turn === asked) button.removeAttribute("aria-busy");
  }
});

async function answer(row, current) {
  const [predicted, explained] = await Promise.all([answered("predict", row), answered("explain", row)]);
  if (!current()) return;
  if (!predicted.ok) { await complain(predicted); return; }
  showAnswer((await predicted.json()).predictions[0], model);
  if (!explained.ok) {
    fill(find("why"), node("p", { class: "hint" }, `No explanation: ${await reason(explained)}`));
    return;
  }
  const why = await explained.json();
  if (current()) showWhy(why.explanations[0], why);
}

async function complain(response) {
  const problem = await response.json().catch(() => ({}));
  const text = problem.detail || problem.title || `The server answers ${response.status}.`;
  refuse(text);
  if (problem.field != null) form.complain(problem.field, text);
}

function refuse(text) {
  fill(find("answer"), node("p", { class: "error" }, text));
}

async function reason(response) {
  const problem = await response.json().catch(() => ({}));
  return problem.detail || problem.title || `the server answers ${response.status}.`;
}

load();
new Figures(answered);
