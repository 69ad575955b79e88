// Nodes without markup: what the bundle says reaches the page as text alone.

export const find = (id) => document.getElementById(id);

export function node(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...content.flat().filter((part) => part != null));
  return made;
}

// A name that may break after its underscores, and need not in the middle of a word.
export const breakable = (name) =>
  name.split(/(?<=_)/).flatMap((part, index) => (index ? [node("wbr"), part] : [part]));

export const fill = (place, ...content) => place.replaceChildren(...content.flat());

// A bar from one share of its track to another, both 0 to 1.
export function bar(from, to) {
  const made = node("i");
  made.style.left = `${100 * from}%`;
  made.style.width = `${100 * Math.max(0, to - from)}%`;
  return made;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const formats = [
  new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 }),
  new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }),
];

// A whole number in full, any other with at most four digits that count, or with three.
export function number(value, digits = 4) {
  const size = Math.abs(value);
  if (size >= 1e15 || (size !== 0 && size < 1e-4)) return value.toExponential(digits - 1);
  return size >= 10 ** digits || Number.isInteger(value)
    ? whole.format(value) : formats[digits - 3].format(value);
}

export function percent(share) {
  if (share > 0 && share < 0.0005) return "<0.1%";
  if (share < 1 && share > 0.9995) return ">99.9%";
  return `${(100 * share).toFixed(1)}%`;
}
