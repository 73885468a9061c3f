"use strict";
// The table of cases: filter, sort, and pictures that are built when they are asked for.
(() => {
  const drawings = JSON.parse(document.getElementById("drawings").textContent);
  const body = document.querySelector(".cases tbody");
  const rows = [...body.querySelectorAll("tr")];
  const [search, target, verdict, order] = ["search", "target", "verdict", "order"].map((id) => document.getElementById(id));
  const shown = document.getElementById("shown");
  const number = (row, key) => Number(row.dataset[key]);
  const byId = (a, b) => number(a, "index") - number(b, "index");
  const orders = {
    id: byId,
    worst: (a, b) => number(b, "severity") - number(a, "severity") || byId(a, b),
    nodes: (a, b) => number(b, "nodes") - number(a, "nodes") || byId(a, b),
  };

  function matches(row) {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.every((word) => row.dataset.text.includes(word))) return false;
    if (!target.value && !verdict.value) return true;
    return JSON.parse(row.dataset.verdicts).some(
      ([where, what]) => (!target.value || where === target.value) && (!verdict.value || what === verdict.value),
    );
  }

  function refresh() {
    closeAll();
    let count = 0;
    for (const row of rows) {
      row.hidden = !matches(row);
      count += row.hidden ? 0 : 1;
    }
    rows.sort(orders[order.value]);
    body.append(...rows);
    shown.value = `${count} of ${rows.length} cases`;
  }

  function closeAll() {
    body.querySelectorAll(".detail").forEach((detail) => detail.remove());
    body.querySelectorAll(".open").forEach((button) => button.setAttribute("aria-expanded", "false"));
  }

  function toggle(button) {
    const row = button.closest("tr");
    if (button.getAttribute("aria-expanded") === "true") {
      row.nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
      return;
    }
    const detail = document.createElement("tr");
    detail.className = "detail";
    const cell = detail.insertCell();
    cell.colSpan = 4;
    // All text in these was escaped where it was made; the page's policy allows no other script than this one.
    cell.innerHTML = drawings[row.dataset.index];
    row.after(detail);
    button.setAttribute("aria-expanded", "true");
  }

  body.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (button) toggle(button);
  });
  document.querySelector(".matrix")?.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    search.value = "";
    target.value = button.dataset.target;
    verdict.value = button.dataset.verdict;
    refresh();
    document.getElementById("cases").scrollIntoView({ behavior: "smooth" });
  });
  // page.html#CASE opens the row of a case.
  function follow() {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const row = wanted && rows.find((candidate) => candidate.dataset.case === wanted);
    if (!row) return;
    search.value = target.value = verdict.value = "";
    refresh();
    toggle(row.querySelector(".open"));
    row.scrollIntoView();
  }
  window.addEventListener("hashchange", follow);
  for (const field of [search, target, verdict, order]) field.addEventListener("input", refresh);
  refresh();
  follow();
})();
