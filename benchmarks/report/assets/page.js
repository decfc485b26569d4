"use strict";
// Theme, sorting, and what is shown of break-downs and curves. Without it the page shows everything at once.

(() => {
  const root = document.documentElement;
  root.classList.add("js");
  for (const part of document.querySelectorAll(".segments, .chooser, #theme")) part.hidden = false;

  const button = document.getElementById("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const nameTheme = () => { button.textContent = isDark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`); };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
  prefersDark.addEventListener("change", nameTheme);
  nameTheme();

  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en"));
  const valueOf = (cell) => {
    const text = cell.dataset.sort;
    if (text === "") return null;
    return cell.tagName === "TD" ? Number(text) : text;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const other = { ascending: "descending", descending: "ascending" };
      const order = other[head.getAttribute("aria-sort")] ?? head.dataset.first;
      for (const one of heads) one.setAttribute("aria-sort", one === head ? order : "none");
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row.cells[column]), row]);
      // What is absent stays last in both orders.
      rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    }));
  }

  for (const segments of document.querySelectorAll(".segments")) {
    const buttons = [...segments.children];
    const choices = [...document.querySelectorAll(".choice")].filter((one) => one.dataset.set === segments.dataset.set);
    for (const button of buttons) {
      button.addEventListener("click", () => {
        for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
        for (const one of choices) one.classList.toggle("on", one.dataset.key === button.dataset.key);
      });
    }
  }

  const chooser = document.getElementById("curve-class");
  if (chooser) {
    const charts = [...document.querySelectorAll(".curve")];
    const show = () => charts.forEach((chart) => chart.classList.toggle("on", chart.dataset.class === chooser.value));
    chooser.addEventListener("change", show);
    show();
  }

  for (const legend of document.querySelectorAll(".legend")) {
    const drawn = [...document.querySelectorAll(`[data-charts="${legend.dataset.target}"] [data-label]`)];
    const apply = () => {
      const on = new Set([...legend.querySelectorAll("input:checked")].map((box) => box.value));
      for (const one of drawn) one.classList.toggle("off", !on.has(one.dataset.label));
    };
    legend.addEventListener("change", apply);
    apply();
  }
})();
