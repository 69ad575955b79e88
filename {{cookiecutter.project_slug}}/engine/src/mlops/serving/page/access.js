// What the pages ask the server, with a key where it wants one; the key stays in this tab.

import { find } from "./dom.js";

let key = "";

export async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key ? { "X-API-Key": key } : {}) };
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
}

export function askKey() {
  const hint = key ? "The server refuses this key." : "This server answers only with a key. It stays in this tab.";
  find("key-hint").textContent = hint;
  if (!find("key-form").hidden && !key) return;
  find("key-form").hidden = false;
  key = "";
}

// Has `load` run again with each key that is given.
export function onKey(load) {
  find("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    key = find("key").value;
    find("key-form").hidden = true;
    load();
  });
}

export function trouble(text) {
  find("trouble").hidden = !text;
  find("trouble").textContent = text;
}
