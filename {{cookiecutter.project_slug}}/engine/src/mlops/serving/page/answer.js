// The answer of /predict and the reasons of /explain, as text and bars.

import { bar, breakable, fill, find, node, number, percent } from "./dom.js";

const SHOWN = 8;
const UNITS = {
  log_odds: "log-odds",
  centred_log_probability: "log-probability against the mean of the classes",
  prediction: "the unit of the target",
  log_prediction: "the logarithm of the target",
};
const LEVELS = {
  log_odds: (value) => percent(1 / (1 + Math.exp(-value))),
  centred_log_probability: (value) => signed(value),
  prediction: (value) => number(value),
  log_prediction: (value) => number(Math.exp(value)),
};

export function showAnswer(answer, model) {
  const { prediction, probabilities } = answer;
  if (!probabilities) {
    fill(find("answer"), node("p", { class: "said" }, number(prediction)),
      node("p", { class: "what" }, model.target), ...around(answer, model));
    return;
  }
  const binary = model.task === "binary";
  const [label, share] = binary
    ? [model.labels[1], probabilities[model.labels[1]]]
    : [prediction, probabilities[prediction]];
  const threshold = binary ? model.threshold : null;
  fill(find("answer"), node("p", { class: "said" }, prediction),
    node("p", { class: "what" }, sentence(model, label, share, threshold)),
    ...around(answer, model),
    node("div", { class: "shares", "aria-hidden": "true" },
      model.labels.map((name) =>
        shareBar(name, probabilities[name], name === prediction, name === label ? threshold : null))));
}

function around({ interval, set }, model) {
  if (!interval && !set) return [];
  const said = interval ? `${number(interval[0])} to ${number(interval[1])}` : set.join(" or ");
  return [node("p", { class: "what" }, `${said}, which holds ${percent(model.coverage)} of the truth`)];
}

function sentence(model, label, share, threshold) {
  const said = `${model.target} is ${label} with a probability of ${percent(share)}`;
  return threshold == null ? said : `${said}; above ${percent(threshold)} it is decided ${label}`;
}

function shareBar(name, probability, chosen, threshold) {
  const track = node("div", { class: "track" }, bar(0, probability));
  if (threshold != null) {
    const mark = node("b");
    mark.style.left = `${100 * threshold}%`;
    track.append(mark);
  }
  return node("div", { class: chosen ? "share chosen" : "share" },
    node("div", { class: "line" }, node("span", {}, name), node("span", {}, percent(probability))),
    track);
}

export function showWhy(explanation, about) {
  const { contributions, base, output } = explanation;
  const largest = Math.max(...contributions.map((each) => Math.abs(each.contribution)), 1e-12);
  const level = LEVELS[about.scale];
  const exact = about.method === "terms";
  const rows = contributions.map((each) => contributionRow(each, largest));
  const body = node("tbody", {}, rows.slice(0, SHOWN));
  const table = node("table", { class: "why" },
    node("caption", { class: "unseen" }, `Contribution of each ${exact ? "term" : "feature"}, largest first`),
    node("thead", {}, node("tr", {}, ["feature", "direction", "contribution"].map(
      (title) => node("th", { scope: "col" }, node("span", { class: "unseen" }, title))))), body);
  const sides = explanation.label == null
    ? "Right raises the prediction, left lowers it"
    : `Right speaks for ${explanation.label}, left against it`;
  const from = exact ? "what the model starts from" : `the mean of ${about.background} example rows`;
  const hint = `${sides}. Together they lead from ${level(base)}, ${from}, to ${level(output)}` +
    `${exact ? ", exactly as the model adds them up" : ""}. In ${UNITS[about.scale]}.`;
  fill(find("why"), node("h3", {}, "Why"), node("p", { class: "hint" }, hint), table);
  if (rows.length > SHOWN) {
    const rest = node("button", { type: "button", class: "link" }, `All ${rows.length} ${exact ? "terms" : "features"}`);
    rest.addEventListener("click", () => { body.replaceChildren(...rows); rest.remove(); });
    find("why").append(rest);
  }
}

function contributionRow({ feature, value, contribution }, largest) {
  const share = Math.abs(contribution) / largest / 2;
  const [from, to] = contribution < 0 ? [0.5 - share, 0.5] : [0.5, 0.5 + share];
  return node("tr", {},
    node("th", { scope: "row" }, ...breakable(feature), node("span", { class: "value" }, shown(value))),
    node("td", {}, node("div", { class: `push ${contribution < 0 ? "down" : "up"}`, "aria-hidden": "true" },
      bar(from, to))),
    node("td", { class: "n" }, signed(contribution)));
}

function signed(value) {
  const size = Math.abs(value);
  return `${value < 0 ? "−" : "+"}${size < 100 ? size.toFixed(2) : number(size)}`;
}

function shown(value) {
  if (value == null) return "missing";
  if (Array.isArray(value)) return value.map(shown).join(" & ");
  return typeof value === "number" ? number(value) : String(value);
}
