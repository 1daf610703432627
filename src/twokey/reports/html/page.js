"use strict";
// The page is complete without this script, which only filters and sorts the table of users.
(() => {
  const table = document.getElementById("all");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const field = document.getElementById("filter");
  const state = document.getElementById("state");
  const shown = document.getElementById("shown");
  const number = new Intl.NumberFormat("en");
  let texts = null;

  const filter = () => {
    texts = texts || rows.map((row) => row.textContent.toLowerCase());
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, at) => {
      const last = row.cells[9].textContent;
      const fits = (!state.value || last.split(" ")[0].trim() === state.value) && words.every((word) => texts[at].includes(word));
      row.hidden = !fits;
      count += fits;
    });
    shown.textContent = `${number.format(count)} of ${number.format(rows.length)} users`;
  };

  const valueOf = (row, column) => {
    const text = row.cells[column].textContent.trim();
    if (column === 9) return row.index;
    if (text === "") return Infinity;
    if (text === "unknown") return 1e9;
    return /^\d+( d)?$/.test(text) ? parseFloat(text) : text.toLowerCase();
  };

  const order = (column, descending) => {
    const keyed = rows.map((row) => [valueOf(row, column), row]);
    const sign = descending ? -1 : 1;
    keyed.sort(([a], [b]) => {
      if (a === b) return 0;
      if (a === Infinity || b === Infinity) return a === Infinity ? 1 : -1;
      return (a < b ? -1 : 1) * sign;
    });
    body.append(...keyed.map(([, row]) => row));
  };

  rows.forEach((row, at) => { row.index = at; });
  Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
    if (column === 2) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    button.addEventListener("click", () => {
      const descending = cell.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      order(column, descending);
    });
    cell.replaceChildren(button);
  });
  field.addEventListener("input", filter);
  state.addEventListener("change", filter);
  document.querySelector(".tools").hidden = false;
})();
