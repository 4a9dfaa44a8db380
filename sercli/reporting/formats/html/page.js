// What the page can do more where JavaScript runs: sort, filter, save a drawing, unfold for print.
// Every control is made here, so that a reader without JavaScript meets none that does nothing.
"use strict";

const FILTERED_FROM = 9; // rows; fewer are seen at a glance

/** Make an element; text is set as text, never as HTML. */
function made(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

// ---- sorting ----

const NUMBER = /(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/;

/** Compare two texts, and the numbers within them by value: α=0.02 comes before α=0.1. */
function comparedTexts(left, right) {
  const [a, b] = [left.split(NUMBER), right.split(NUMBER)]; // words and numbers by turns
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const difference = i % 2 ? Number(a[i]) - Number(b[i]) : a[i].localeCompare(b[i], "en");
    if (difference) return difference;
  }
  return a.length - b.length;
}

/** Compare two cells: by value where they have one, else as texts. */
function compared(left, right, direction) {
  const [a, b] = [left.dataset.sort, right.dataset.sort];
  // A cell without a value stands last, whichever way: it is not the worst result but none.
  if ((a === undefined) !== (b === undefined)) return a === undefined ? 1 : -1;
  if (a !== undefined) return direction * (Number(a) - Number(b));
  return direction * comparedTexts(left.textContent, right.textContent);
}

/** Sort a table by a column. Rows that are equal there keep their order, so that sorts add up. */
function sort(table, heading, direction) {
  const body = table.tBodies[0];
  const column = heading.cellIndex;
  const rows = [...body.rows];
  rows.sort((a, b) => compared(a.cells[column], b.cells[column], direction));
  body.append(...rows);
  for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
}

/** Put a button into every heading: it takes the focus and the keyboard by itself. */
function makeSortable(table) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = made("button", { type: "button" });
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      sort(table, heading, heading.getAttribute("aria-sort") === "ascending" ? -1 : 1);
    });
  }
}

// ---- filtering ----

/** Put a box below a table's title that shows the rows which hold every word typed into it. */
function makeFilterable(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < FILTERED_FROM) return;
  const title = table.caption.querySelector("span").textContent;
  table.setAttribute("aria-label", title); // else the box would be a part of its name
  const label = made("label", { className: "filter" });
  const box = made("input", { type: "search", placeholder: "Filter rows", spellcheck: false });
  box.setAttribute("aria-label", `Filter the rows of: ${title}`);
  const found = made("output", { textContent: `${rows.length} rows` });
  label.append(box, found);
  table.caption.firstElementChild.append(label);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    found.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  });
}

// ---- drawings ----

/** Offer a drawing as a file. It is made on request: in the page it would stand there twice. */
function makeSavable(figure) {
  const button = made("button", { type: "button", className: "save", textContent: "Download SVG" });
  button.setAttribute("aria-label", `Download SVG: ${figure.querySelector("strong").textContent}`);
  button.addEventListener("click", () => {
    const text = new XMLSerializer().serializeToString(figure.querySelector("svg"));
    const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    made("a", { href: address, download: `${figure.dataset.name}.svg` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser may still be saving
  });
  figure.querySelector("figcaption").append(" ", button);
}

// ---- print ----

let unfolded = [];

/** On paper nothing can be opened: unfold what is folded, and fold it again afterwards. */
function unfold(printing) {
  if (printing) {
    unfolded.push(...document.querySelectorAll("details:not([open])"));
    for (const part of unfolded) part.open = true;
  } else {
    for (const part of unfolded) part.open = false;
    unfolded = [];
  }
}

// Browsers differ in which of the two they tell; both may come, and the second finds nothing to do.
window.addEventListener("beforeprint", () => unfold(true));
window.addEventListener("afterprint", () => unfold(false));
window.matchMedia("print").addEventListener("change", (media) => unfold(media.matches));

for (const table of document.querySelectorAll("table")) {
  makeSortable(table);
  makeFilterable(table);
}
for (const figure of document.querySelectorAll("figure")) makeSavable(figure);
