"use strict";
// The page is complete without this script, which only filters and sorts the tables of users.
(() => {
  const tables = Array.from(document.querySelectorAll(".all"));
  if (!tables.length) return;
  const rows = tables.flatMap((table) => Array.from(table.tBodies[0].rows));
  const sizes = tables.map((table) => table.tBodies[0].rows.length);
  const section = document.getElementById("users");
  const field = document.getElementById("filter");
  const state = document.getElementById("state");
  const shown = document.getElementById("shown");
  const number = new Intl.NumberFormat("en");
  const FEW = 500;
  let texts = null;

  // A table without rows is hidden. Tables that are out of view have a guessed height: with few rows, a wrong one.
  const settle = () => {
    let count = 0;
    tables.forEach((table) => {
      const fitting = Array.from(table.tBodies[0].rows).filter((row) => !row.hidden).length;
      table.parentElement.hidden = !fitting;
      count += fitting;
    });
    section.classList.toggle("few", count < FEW);
    shown.textContent = `${number.format(count)} of ${number.format(rows.length)} users`;
  };

  const filter = () => {
    texts = texts || new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row) => {
      const [first] = row.cells[9].textContent.trim().split(" ");
      row.hidden = !((!state.value || first === state.value) && words.every((word) => texts.get(row).includes(word)));
    });
    settle();
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
    let at = 0;
    tables.forEach((table, part) => {
      table.tBodies[0].append(...keyed.slice(at, at + sizes[part]).map(([, row]) => row));
      at += sizes[part];
    });
    settle();
  };

  const sortBy = (column, descending) => {
    tables.forEach((table) => {
      Array.from(table.tHead.rows[0].cells).forEach((cell, at) => {
        if (at === column) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      });
    });
    order(column, descending);
  };

  rows.forEach((row, at) => { row.index = at; });
  tables.forEach((table) => {
    Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
      if (column === 2) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.addEventListener("click", () => sortBy(column, cell.getAttribute("aria-sort") === "ascending"));
      cell.replaceChildren(button);
    });
  });
  field.addEventListener("input", filter);
  state.addEventListener("change", filter);
  document.querySelector(".tools").hidden = false;
})();
