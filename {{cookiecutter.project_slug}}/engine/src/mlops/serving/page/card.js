// The model card: the Markdown that cards are written in, as nodes; anything else stays text.

import { node } from "./dom.js";

export function rendered(markdown) {
  const blocks = markdown.trim().split(/\n\s*\n/);
  return blocks.map((block) => rendering(block.split("\n"), block));
}

function rendering(lines, block) {
  const heading = /^(#{1,6})\s+(.*)$/.exec(lines[0]);
  if (heading && lines.length === 1) {
    return node(heading[1].length === 1 ? "h3" : "h4", {}, ...inline(heading[2]));
  }
  if (lines.every((line) => line.startsWith("- "))) {
    return node("ul", {}, lines.map((line) => node("li", {}, ...inline(line.slice(2)))));
  }
  if (lines.length > 1 && lines.every((line) => /^\|.*\|$/.test(line))) return table(lines);
  return node("p", {}, ...inline(block));
}

function table(lines) {
  const rows = lines.map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()));
  const titles = rows[0].map((title) => node("th", { scope: "col" }, ...inline(title)));
  const body = rows.slice(2).map((cells) =>
    node("tr", {}, cells.map((cell) => node("td", {}, ...inline(cell)))));
  return node("table", {}, node("thead", {}, node("tr", {}, titles)), node("tbody", {}, body));
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (/^`[^`]+`$/.test(part)) return node("code", {}, part.slice(1, -1));
    if (/^\*\*[^*]+\*\*$/.test(part)) return node("strong", {}, part.slice(2, -2));
    return part;
  });
}
