// The form that the contract makes: a field for each column that the model reads.

import { breakable, fill, find, node } from "./dom.js";

const id = (index, part) => `field-${index}${part ? `-${part}` : ""}`;

export class Form {
  constructor(columns) {
    this.columns = columns;
    fill(find("fields"), columns.map(field));
  }

  // The row as /predict takes it: null where a field is empty.
  row() {
    this.clear();
    const row = Object.create(null);
    this.columns.forEach((column, index) => {
      row[column.name] = read(column, find(id(index)));
    });
    return row;
  }

  // What the browser cannot read and would send as empty.
  unreadable() {
    const index = this.columns.findIndex((_, i) => find(id(i)).validity?.badInput);
    if (index < 0) return false;
    this.complain(this.columns[index].name, "This cannot be read: enter a complete value.");
    return true;
  }

  show(row) {
    this.clear();
    this.columns.forEach((column, index) => write(column, find(id(index)), row[column.name]));
  }

  clear() {
    this.columns.forEach((_, index) => this.mark(index, ""));
  }

  // Say what is wrong beside the field; false where there is no such field.
  complain(name, text) {
    const index = this.columns.findIndex((column) => column.name === name);
    if (index < 0) return false;
    this.mark(index, text);
    find(id(index)).focus();
    return true;
  }

  mark(index, text) {
    const input = find(id(index));
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    find(id(index, "error")).textContent = text;
  }
}

function field(column, index) {
  const described = { id: id(index), "aria-describedby": `${id(index, "hint")} ${id(index, "error")}` };
  const input = control(column, described);
  const label = node("label", { for: id(index) }, ...breakable(column.name));
  const tick = input.type === "checkbox" && node("div", { class: "tick" }, input, "yes");
  return node("div", { class: "field" }, label, tick || input,
    node("span", { class: "hint", id: id(index, "hint") }, hint(column)),
    node("span", { class: "error", id: id(index, "error") }));
}

function control(column, described) {
  const bounds = { min: column.min, max: column.max };
  switch (column.type) {
    case "number": return node("input", { ...described, ...bounds, type: "number", step: "any" });
    case "integer": return node("input", { ...described, ...bounds, type: "number", step: 1 });
    case "datetime": return node("input", { ...described, type: "datetime-local", step: 1 });
    case "text": return node("textarea", { ...described, rows: 2 });
    case "boolean":
      if (!column.nullable) return node("input", { ...described, type: "checkbox" });
      return choice(described, ["true", "false"], true);
    default: return choice(described, column.categories, column.nullable);
  }
}

function choice(described, labels, nullable) {
  const empty = nullable ? [node("option", { value: "" }, "(missing)")] : [];
  // The value of an option is its position: a label may be any text, also an empty one.
  const options = labels.map((label, code) => node("option", { value: code }, label));
  return node("select", described, empty, options);
}

function hint(column) {
  const parts = [];
  if (column.description) parts.push(column.description);
  if (column.min != null && column.max != null) parts.push(`${column.min} to ${column.max}`);
  else if (column.min != null) parts.push(`from ${column.min}`);
  else if (column.max != null) parts.push(`up to ${column.max}`);
  if (column.type === "datetime") parts.push("UTC");
  if (column.nullable) parts.push("may be empty");
  return parts.join(" · ");
}

function read(column, input) {
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return null;
  if (column.type === "boolean") return input.value === "0";
  if (input instanceof HTMLSelectElement) return column.categories[Number(input.value)];
  if (column.type === "text") return input.value;
  if (column.type === "datetime") return input.value.length === 16 ? `${input.value}:00` : input.value;
  return Number(input.value);
}

function write(column, input, value) {
  if (input.type === "checkbox") input.checked = value === true;
  else if (value == null) input.value = "";
  else if (column.type === "boolean") input.value = value ? "0" : "1";
  else if (input instanceof HTMLSelectElement) input.value = column.categories.indexOf(value);
  else if (column.type === "datetime") input.value = value.slice(0, 23);
  else input.value = value;
}
