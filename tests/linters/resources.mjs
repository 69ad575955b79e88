// Prints what is wrong with the custom resources in a JSON list on standard input.
//
// The models are generated from the definitions of Argo CD, Argo Rollouts, Flux, KEDA, Prometheus'
// operator and the Gateway API. They refuse wrong types and missing fields, and let unknown ones pass: those are
// looked up among the names of their types.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "argoproj.io": "argo-cd",
  "argoproj.io/Rollout": "argo-rollouts",
  "argoproj.io/AnalysisTemplate": "argo-rollouts",
  "source.toolkit.fluxcd.io": "flux-cd",
  "kustomize.toolkit.fluxcd.io": "flux-cd",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
  "gateway.networking.k8s.io": "gateway-api",
};
const FREE = new Set(["metadata", "labels", "matchLabels", "annotations"]);
const [modules] = process.argv.slice(2); // a folder node_modules

function unknown(value, names, at) {
  if (Array.isArray(value)) return value.flatMap((one, i) => unknown(one, names, `${at}/${i}`));
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (FREE.has(key)) return [];
    return names.has(key) ? unknown(inner, names, `${at}/${key}`) : [`${at}/${key} is unknown`];
  });
}

// The text of a file of types and of those beside it that it imports.
function declared(path, read = new Set()) {
  if (read.has(path)) return [];
  read.add(path);
  const text = readFileSync(path, "utf8");
  const beside = [...text.matchAll(/from "(\.\/\w+)\.js"/g)].map((match) => match[1]);
  return [text, ...beside.flatMap((one) => declared(join(dirname(path), `${one}.d.ts`), read))];
}

for (const resource of JSON.parse(readFileSync(0, "utf8"))) {
  const [group, version] = resource.apiVersion.split("/");
  const name = PACKAGES[`${group}/${resource.kind}`] ?? PACKAGES[group];
  const folder = join(modules, "@kubernetes-models", name, group, version);
  const found = [];
  try {
    const models = await import(pathToFileURL(join(folder, "index.js")));
    const Model = models[resource.kind] ?? models.default[resource.kind];
    const types = declared(join(folder, `${resource.kind}.d.ts`)).join("");
    new Model(resource).validate();
    const names = new Set([...types.matchAll(/^ *"(\w+)"\??:/gm)].map((match) => match[1]));
    found.push(...unknown(resource, names, resource.kind));
  } catch (error) {
    found.push(`${resource.kind}: ${error.message}`);
  }
  for (const line of found) console.log(line);
}
