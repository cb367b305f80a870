// Elements. What comes from the API becomes text or the value of an attribute, never markup.

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** An element with attributes and children. A child that is a text stays one; null is left out. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  set(node, attributes);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets attributes; `text` is the content and `click` what happens on a click. False and null remove an attribute. */
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "click") node.addEventListener("click", value);
    else if (value === false || value === null || value === undefined) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : value);
  }
}

/**
 * A copy of a template. `parts` says for each `data-is` in it the text, a node, a list of both, or attributes as `set`
 * takes them.
 */
export function copy(id, parts = {}) {
  const fragment = $(id).content.cloneNode(true);
  for (const [name, part] of Object.entries(parts)) {
    const node = fragment.querySelector(`[data-is="${name}"]`);
    if (part === null || part === undefined) continue;
    if (part instanceof Node) node.replaceChildren(part);
    else if (Array.isArray(part)) node.replaceChildren(...part);
    else if (typeof part === "object") set(node, part);
    else node.textContent = part;
  }
  return fragment;
}

/** Shows an element, or hides it. */
export function show(node, isShown = true) {
  node.hidden = !isShown;
  return node;
}

/** Puts children into an element. Where the same stand there already they stay, with the focus and what is selected. */
export function put(node, ...children) {
  const next = node.cloneNode();
  next.append(...children);
  if (!next.isEqualNode(node)) node.replaceChildren(...next.childNodes);
}

/** Puts rows into the body of a table, whose box is hidden while it has none; then what is said of that is shown. */
export function fill(id, rows) {
  const [table, none] = [$(id), $(`${id}-none`)];
  put(table.tBodies[0], ...rows);
  show(table.parentElement, rows.length > 0);
  if (none) show(none, rows.length === 0);
}

/** A row of a table: what it is about, and its cells, each a text, a node, or a list of both. */
export function line(about, ...cells) {
  const cell = (said) => make("td", {}, ...[said].flat());
  return make("tr", {}, make("th", { scope: "row" }, ...[about].flat()), ...cells.map(cell));
}

/** Names the columns of a table. */
export function head(id, names) {
  $(id).tHead.rows[0].replaceChildren(...names.map((name) => make("th", { scope: "col" }, name)));
}

/** The options of a select; each is a value, or a value and its name. */
export function options(select, list, chosen) {
  select.replaceChildren(
    ...list.map((item) => {
      const [value, name] = Array.isArray(item) ? item : [item, item];
      return make("option", { value, selected: value === chosen }, name);
    }),
  );
}

/**
 * Lets a file be dropped anywhere on the page, while its box is shown, as well as chosen in the input of the box; `take`
 * gets it either way. A file that misses the box must not take the place of the page.
 */
export function files(box, input, take) {
  input.addEventListener("change", () => input.files[0] && take(input.files[0]));
  // The same file, mended in its place, is chosen anew.
  input.addEventListener("click", () => (input.value = ""));
  const marked = (isOver) => (event) => {
    event.preventDefault();
    box.classList.toggle("over", isOver);
  };
  window.addEventListener("dragover", marked(true));
  window.addEventListener("dragleave", marked(false));
  window.addEventListener("drop", (event) => {
    marked(false)(event);
    const [file] = event.dataTransfer.files;
    if (!file || !box.checkVisibility()) return;
    input.files = event.dataTransfer.files;
    take(file);
  });
}

/** Adds a term and what is said of it to a list of details; null is left out. */
export function detail(list, term, ...said) {
  const there = said.filter((part) => part !== null && part !== undefined && part !== "");
  if (there.length) list.append(make("div", {}, make("dt", {}, term), make("dd", {}, ...there)));
}
