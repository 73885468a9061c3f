"use strict";
// Findings: filter, sort, and details that are built when they are asked for.
(() => {
  const list = document.getElementById("found");
  if (!list) return;
  const items = [...list.children];
  const [search, target, verdict, operator, order] = ["search", "target", "verdict", "operator", "order"].map((id) => document.getElementById(id));
  const shown = document.getElementById("shown");
  const none = document.getElementById("none");
  // Read once: a thousand findings are filtered at each key.
  const known = items.map((item) => ({
    item,
    text: item.dataset.text,
    target: item.dataset.target,
    verdict: item.dataset.verdict,
    operators: new Set(item.dataset.operators.split(" ")),
    index: Number(item.dataset.index),
    count: Number(item.dataset.count),
    ratio: Number(item.dataset.ratio),
    nodes: Number(item.dataset.nodes),
    when: Number(item.dataset.when),
  }));
  const byIndex = (a, b) => a.index - b.index;
  const orders = {
    grave: byIndex,
    count: (a, b) => b.count - a.count || byIndex(a, b),
    ratio: (a, b) => b.ratio - a.ratio || byIndex(a, b),
    nodes: (a, b) => a.nodes - b.nodes || byIndex(a, b),
    newest: (a, b) => b.when - a.when || byIndex(a, b),
  };
  let sorted = "grave";

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const one of known) {
      const fits =
        (!target.value || one.target === target.value) &&
        (!verdict.value || one.verdict === verdict.value) &&
        (!operator.value || one.operators.has(operator.value)) &&
        words.every((word) => one.text.includes(word));
      one.item.hidden = !fits;
      count += fits ? 1 : 0;
    }
    if (order.value !== sorted) {
      sorted = order.value;
      known.sort(orders[sorted]);
      list.append(...known.map((one) => one.item));
    }
    shown.value = `${count.toLocaleString("en")} of ${items.length.toLocaleString("en")} findings`;
    none.hidden = count > 0;
  }

  function clear() {
    search.value = target.value = verdict.value = operator.value = "";
    filter();
  }

  function open(item, wanted) {
    const button = item.querySelector(".line");
    const is = button.getAttribute("aria-expanded") === "true";
    if (is === wanted) return;
    button.setAttribute("aria-expanded", String(wanted));
    item.classList.toggle("is-open", wanted);
    if (!wanted) {
      item.querySelector(".opened").remove();
      return;
    }
    const box = document.createElement("div");
    box.className = "opened";
    // All text in these was escaped where it was made; the page's policy allows no other script than this one.
    box.innerHTML = JSON.parse(document.getElementById(`detail-${item.dataset.index}`).textContent);
    item.append(box);
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest(".line");
    if (button) open(button.closest("li"), button.getAttribute("aria-expanded") !== "true");
  });
  document.getElementById("clear").addEventListener("click", clear);
  for (const field of [search, target, verdict, operator, order]) field.addEventListener("input", filter);
  // A number of failures in the table of targets shows them.
  document.getElementById("targets")?.nextElementSibling.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    search.value = operator.value = "";
    target.value = button.dataset.target;
    verdict.value = button.dataset.verdict;
    filter();
    document.getElementById("findings").scrollIntoView();
  });
  document.addEventListener("show-operator", (event) => {
    clear();
    operator.value = event.detail;
    filter();
    document.getElementById("findings").scrollIntoView();
  });
  // report.html#ID opens a finding.
  function follow() {
    const item = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!item || item.parentElement !== list) return false;
    if (item.hidden) clear();
    open(item, true);
    item.scrollIntoView();
    return true;
  }
  window.addEventListener("hashchange", follow);
  filter();
  if (!follow()) for (const one of known.slice(0, known.length > 3 ? 1 : 3)) open(one.item, true);
})();

// Coverage: the matrix of operators and types, drawn when it comes into view.
(() => {
  const place = document.getElementById("cells");
  if (!place) return;
  const data = JSON.parse(document.getElementById("cells-data").textContent);
  const [search, target, show] = ["cells-search", "cells-target", "cells-show"].map((id) => document.getElementById(id));
  const shown = document.getElementById("cells-shown");
  const told = document.getElementById("cell");
  const FOUND = 4, OPEN = 3, REFUSED = 2, OK = 1;
  const NAMES = ["none", "ok", "refused", "open", "found"];

  // What all targets together made of a pair: the gravest that any of them did.
  function joint(cells) {
    const states = cells.map((cell) => cell[0]);
    if (states.includes(FOUND)) return "found";
    if (states.includes(OK)) return states.every((state) => state === OK || !state) ? "ok" : "part";
    if (states.includes(OPEN)) return "open";
    return states.includes(REFUSED) ? "refused" : "none";
  }

  function view(cells) {
    if (!cells.length) return ["none", 0];
    if (target.value === "") return [joint(cells), Math.max(...cells.map((cell) => cell[1]))];
    const cell = cells[Number(target.value)];
    return [NAMES[cell[0]], cell[1]];
  }

  const brief = (count) => (count < 1000 ? String(count) : count < 1e6 ? `${Math.floor(count / 1e3)}k` : `${Math.floor(count / 1e6)}M`);

  function draw() {
    const words = search.value.toLowerCase();
    const table = document.createElement("table");
    table.classList.toggle("few", data.types.length < 14);
    const head = table.createTHead().insertRow();
    const corner = document.createElement("th");
    corner.scope = "col";
    head.append(corner);
    for (const name of data.types) {
      const th = document.createElement("th");
      const span = document.createElement("span");
      th.scope = "col";
      span.textContent = name || "no type";
      th.append(span);
      head.append(th);
    }
    const body = table.createTBody();
    let count = 0;
    data.rows.forEach(([operator, cells], index) => {
      if (!operator.toLowerCase().includes(words)) return;
      const views = cells.map(([type, numbers]) => [type, ...view(numbers)]);
      if (show.value && !views.some(([, state]) => state === show.value)) return;
      count += 1;
      const row = body.insertRow();
      row.dataset.index = index;
      const th = document.createElement("th");
      th.scope = "row";
      th.textContent = th.title = operator;
      row.append(th);
      const of = new Map(views.map(([type, state, cases]) => [type, [state, cases]]));
      data.types.forEach((name, type) => {
        const cell = row.insertCell();
        if (!of.has(type)) return;
        const [state, cases] = of.get(type);
        const span = document.createElement("span");
        span.className = `s-${state}`;
        span.dataset.type = type;
        span.tabIndex = -1;
        span.setAttribute("role", "button");
        span.setAttribute("aria-label", `${operator}, ${name || "no type"}: ${state === "none" ? "never reached" : `${state}, ${cases} cases`}`);
        span.textContent = cases ? brief(cases) : "";
        cell.append(span);
      });
    });
    place.replaceChildren(table);
    const first = table.querySelector("td span");
    if (first) first.tabIndex = 0;
    shown.value = `${count.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} operators`;
  }

  function tell(span) {
    place.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
    span.classList.add("chosen");
    const [operator, cells] = data.rows[span.closest("tr").dataset.index];
    const type = Number(span.dataset.type);
    const [, numbers] = cells.find(([at]) => at === type);
    const name = document.createElement("b");
    name.textContent = `${operator} × ${data.types[type] || "no type"}`;
    const parts = numbers.map(([, cases, ok, failed, refused, findings], at) => {
      if (!cases) return `${data.targets[at]}: never`;
      const said = [`${cases} cases`, `${ok} ok`];
      if (failed) said.push(`${failed} failed`);
      if (refused) said.push(`${refused} unsupported`);
      if (findings) said.push(`in ${findings} finding${findings > 1 ? "s" : ""}`);
      return `${data.targets[at]}: ${said.join(", ")}`;
    });
    told.classList.add("told");
    told.replaceChildren(name, document.createTextNode(numbers.length ? ` — ${parts.join("; ")}. ` : " — never reached."));
    if (numbers.some((cell) => cell[5])) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Show the findings with ${operator}`;
      button.addEventListener("click", () => document.dispatchEvent(new CustomEvent("show-operator", { detail: operator })));
      told.append(button);
    }
  }

  place.addEventListener("click", (event) => {
    const span = event.target.closest("td span");
    if (span) span.focus();
  });
  // One cell is in the order of Tab; arrows go on from it.
  place.addEventListener("focusin", (event) => {
    const span = event.target.closest("td span");
    if (!span) return;
    place.querySelectorAll('td span[tabindex="0"]').forEach((other) => (other.tabIndex = -1));
    span.tabIndex = 0;
    tell(span);
  });
  place.addEventListener("keydown", (event) => {
    const span = event.target.closest("td span");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!span || !step) return;
    event.preventDefault();
    let [row, column] = [span.closest("tr"), span.closest("td").cellIndex];
    for (;;) {
      row = step[0] > 0 ? row.nextElementSibling : step[0] < 0 ? row.previousElementSibling : row;
      column += step[1];
      if (!row || column < 1 || column >= row.cells.length) return;
      const next = row.cells[column].querySelector("span");
      if (next) return next.focus();
    }
  });
  for (const field of [search, target, show]) field.addEventListener("input", draw);
  if (location.hash === "#coverage") draw();
  else new IntersectionObserver((seen, observer) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    draw();
  }, { rootMargin: "600px" }).observe(place);
})();
