// Prints what is wrong with the custom resources in a JSON list on standard input.
//
// The models are generated from the definitions of Argo CD, Flux, KEDA, Prometheus' operator and the
// Gateway API. They refuse wrong types and missing fields, and let unknown ones pass: those are
// looked up among the names of their types.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "argoproj.io": "argo-cd",
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

for (const resource of JSON.parse(readFileSync(0, "utf8"))) {
  const [group, version] = resource.apiVersion.split("/");
  const folder = join(modules, "@kubernetes-models", PACKAGES[group], group, version);
  const found = [];
  try {
    const models = await import(pathToFileURL(join(folder, "index.js")));
    const Model = models[resource.kind] ?? models.default[resource.kind];
    const types = readFileSync(join(folder, `${resource.kind}.d.ts`), "utf8");
    new Model(resource).validate();
    const names = new Set([...types.matchAll(/^ *"(\w+)"\??:/gm)].map((match) => match[1]));
    found.push(...unknown(resource, names, resource.kind));
  } catch (error) {
    found.push(`${resource.kind}: ${error.message}`);
  }
  for (const line of found) console.log(line);
}
