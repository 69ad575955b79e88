// Live figures from /metrics, the difference of two readings; nothing is asked in a hidden tab.

import { fill, find, node, number } from "./dom.js";

const EVERY = 2000;
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function parse(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(LABEL)].map((m) => [m[1], m[2]]));
    samples.push({ name: found[1], labels, value: Number(found[3].replace("Inf", "Infinity")) });
  }
  return samples;
}

const total = (samples, name) =>
  samples.reduce((sum, sample) => sum + (sample.name === name ? sample.value : 0), 0);

// What asks for predictions: not this page's own files, nor probes.
const SERVED = /^\/(predict|v2\/models\/.*\/infer)$/;
const served = (samples) => samples.filter((sample) => SERVED.test(sample.labels.route ?? ""));

function buckets(samples) {
  const counts = new Map();
  for (const { name, labels, value } of served(samples)) {
    if (name !== "mlops_request_seconds_bucket") continue;
    const edge = labels.le === "+Inf" ? Infinity : Number(labels.le);
    counts.set(edge, (counts.get(edge) ?? 0) + value);
  }
  return [...counts].sort(([left], [right]) => left - right);
}

// The quantile as Prometheus' histogram_quantile has it: straight within a bucket.
export function quantile(share, now, before) {
  const earlier = new Map(before);
  const counts = now.map(([edge, count]) => [edge, count - (earlier.get(edge) ?? 0)]);
  const all = counts.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  let [low, under] = [0, 0];
  for (const [edge, count] of counts) {
    if (count >= share * all) {
      if (edge === Infinity) return low;
      return low + (edge - low) * ((share * all - under) / (count - under));
    }
    [low, under] = [edge, count];
  }
  return low;
}

export class Figures {
  constructor(ask) {
    this.ask = ask;
    this.before = null;
    document.addEventListener("visibilitychange", () => this.restart());
    this.restart();
  }

  restart() {
    clearInterval(this.timer);
    this.before = null;
    if (document.hidden) return;
    this.timer = setInterval(() => this.read(), EVERY);
    this.read();
  }

  async read() {
    const response = await this.ask("metrics").catch(() => null);
    if (!response?.ok) { show(null, null); return; }
    const now = { at: performance.now(), samples: parse(await response.text()) };
    show(now, this.before);
    this.before = now;
  }
}

function show(now, before) {
  const none = "–";
  const rate = now && before && 1000 / (now.at - before.at) *
    (total(served(now.samples), "mlops_requests_total") - total(served(before.samples), "mlops_requests_total"));
  const slow = now && (before && quantile(0.99, buckets(now.samples), buckets(before.samples))
    || quantile(0.99, buckets(now.samples), []));
  fill(find("figures"),
    figure("Predictions asked for", rate == null ? none : number(Math.max(0, rate), 3), rate != null && "a second"),
    figure("99% answered in", slow == null ? none : number(1000 * slow, 3), slow != null && "ms"),
    figure("In flight", now ? number(total(now.samples, "mlops_in_flight")) : none),
    figure("Refused", now ? number(total(now.samples, "mlops_rejected_total")) : none, now && "since start"));
}

const figure = (name, value, unit) => node("div", {}, node("dt", {}, name),
  node("dd", {}, value, unit ? node("small", {}, ` ${unit}`) : null));
