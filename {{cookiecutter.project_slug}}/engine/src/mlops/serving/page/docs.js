// Every route of the server, from its own description; each can be tried with an example.

import { ask, askKey, onKey, trouble } from "./access.js";
import { fill, find, node } from "./dom.js";

onKey(load);

async function load() {
  const response = await ask("openapi.json").catch(() => null);
  if (response?.status === 401) {
    askKey();
    return;
  }
  trouble(response?.ok ? "" : "The server does not say what it answers. Reload the page to try again.");
  if (!response?.ok) return;
  const described = await response.json();
  find("key").value = "";
  document.title = `API of ${described.info.title}`;
  find("name").textContent = described.info.title;
  find("summary").textContent = described.info.description ?? "";
  const cards = [];
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      cards.push(card(described, path, method.toUpperCase(), operation, cards.length));
    }
  }
  fill(find("operations"), cards);
}

function card(described, path, method, operation, index) {
  const body = operation.requestBody?.content ?? {};
  const [kind, content] = Object.entries(body)[0] ?? [];
  const parts = operation.description ? [node("p", { class: "hint" }, operation.description)] : [];
  if (content) parts.push(part("Body", kind, resolved(described, content.schema)));
  const answers = Object.entries(operation.responses ?? {}).map(([status, answer]) =>
    node("li", {}, node("code", {}, status), ` ${answer.description ?? ""}`));
  parts.push(node("h3", {}, "Answers"), node("ul", {}, answers));
  parts.push(trial(path, method, operation, kind, content, index));
  return node("details", { class: "card" },
    node("summary", {}, node("code", {}, method), " ", node("strong", {}, path), ` ${operation.summary ?? ""}`),
    parts);
}

function part(title, kind, schema) {
  return node("details", {}, node("summary", {}, `${title}: ${kind}`),
    node("pre", {}, JSON.stringify(schema, null, 2)));
}

// A schema with its parts in the places that refer to them; one that holds itself is only named.
function resolved(described, schema, inside = []) {
  if (Array.isArray(schema)) return schema.map((each) => resolved(described, each, inside));
  if (schema === null || typeof schema !== "object") return schema;
  const reference = schema.$ref;
  if (typeof reference === "string") {
    if (inside.includes(reference)) return { $ref: reference };
    const target = reference.slice(2).split("/").reduce((at, name) => at?.[name], described);
    return resolved(described, target, [...inside, reference]);
  }
  return Object.fromEntries(
    Object.entries(schema).map(([name, each]) => [name, resolved(described, each, inside)]));
}

function trial(path, method, operation, kind, content, index) {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((found) => found[1]);
  const fields = names.map((name) => labelled(`in-${index}-${name}`, name, "input", ""));
  const body = content && labelled(`in-${index}`, `Body (${kind})`, "textarea", example(content));
  const answer = node("pre", { "aria-live": "polite" });
  const form = node("form", {}, fields, body, node("div", { class: "row" }, node("button", {}, "Send")), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // Relative, so that it is asked below whatever a proxy has before this page.
    const place = names.reduce((text, name) =>
      text.replace(`{${name}}`, encodeURIComponent(find(`in-${index}-${name}`).value)), path.slice(1));
    const options = { method };
    if (content) Object.assign(options, { body: find(`in-${index}`).value, headers: { "Content-Type": kind } });
    const response = await ask(`./${place}`, options).catch(() => null);
    answer.textContent = response
      ? `${response.status}\n${pretty(await response.text())}` : "The server does not answer.";
  });
  return form;
}

function labelled(id, text, kind, value) {
  const input = node(kind, { id, ...(kind === "textarea" ? { rows: 8, spellcheck: "false" } : { required: true }) });
  input.value = value;
  return node("div", { class: "field" }, node("label", { for: id }, text), input);
}

function example(content) {
  const [first] = Object.values(content.examples ?? {});
  return first ? JSON.stringify(first.value, null, 2) : "";
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

load();
