"use strict";
// A drawing that is moved with the pointer or the arrows, scaled with the wheel or + and -, and searched.
(() => {
  const view = document.getElementById("view");
  const drawing = view.querySelector("svg");
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const size = { width: Number(drawing.getAttribute("width")), height: Number(drawing.getAttribute("height")) };
  const nodes = [...drawing.querySelectorAll("g[class]")].filter((node) => node.querySelector("title"));
  let at = { x: 0, y: 0, scale: 1 };
  let current = -1;

  function show() {
    drawing.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.scale})`;
  }

  function scale(factor, x, y) {
    const next = Math.min(8, Math.max(0.02, at.scale * factor));
    at = { x: x - ((x - at.x) * next) / at.scale, y: y - ((y - at.y) * next) / at.scale, scale: next };
    show();
  }

  function fit() {
    const next = Math.min(1, view.clientWidth / size.width, view.clientHeight / size.height);
    at = { x: Math.max(0, (view.clientWidth - size.width * next) / 2), y: 0, scale: next };
    show();
  }

  // One to one from the upper left corner, where the inputs are: what a large drawing is read at.
  function begin() {
    if (size.width <= view.clientWidth && size.height <= view.clientHeight) return fit();
    at = { x: 0, y: 0, scale: 1 };
    show();
  }

  const middle = () => [view.clientWidth / 2, view.clientHeight / 2];

  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = view.getBoundingClientRect();
    scale(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  view.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    view.setPointerCapture(event.pointerId);
    view.classList.add("held");
  });
  view.addEventListener("pointermove", (event) => {
    if (!view.hasPointerCapture(event.pointerId)) return;
    at = { ...at, x: at.x + event.movementX, y: at.y + event.movementY };
    show();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    view.addEventListener(name, () => view.classList.remove("held"));
  }

  const keys = {
    "+": () => scale(1.25, ...middle()), "=": () => scale(1.25, ...middle()), "-": () => scale(0.8, ...middle()),
    0: fit, ArrowLeft: () => move(120, 0), ArrowRight: () => move(-120, 0), ArrowUp: () => move(0, 120),
    ArrowDown: () => move(0, -120),
  };
  function move(x, y) {
    at = { ...at, x: at.x + x, y: at.y + y };
    show();
  }
  document.addEventListener("keydown", (event) => {
    if (event.target === search || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById("in").addEventListener("click", () => scale(1.25, ...middle()));
  document.getElementById("out").addEventListener("click", () => scale(0.8, ...middle()));
  document.getElementById("fit").addEventListener("click", fit);

  // Every node whose text holds all words is marked; Enter goes from one to the next.
  function seek() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    current = -1;
    let count = 0;
    for (const node of nodes) {
      const hit = words.length > 0 && words.every((word) => node.textContent.toLowerCase().includes(word));
      node.classList.toggle("found", hit);
      count += hit ? 1 : 0;
    }
    found.value = words.length ? `${count} found` : "";
  }
  function next() {
    const hits = nodes.filter((node) => node.classList.contains("found"));
    if (!hits.length) return;
    current = (current + 1) % hits.length;
    const box = hits[current].querySelector("rect");
    const zoom = Math.max(at.scale, 0.8);
    const x = Number(box.getAttribute("x")) + Number(box.getAttribute("width")) / 2;
    const y = Number(box.getAttribute("y")) + Number(box.getAttribute("height")) / 2;
    at = { x: view.clientWidth / 2 - x * zoom, y: view.clientHeight / 2 - y * zoom, scale: zoom };
    found.value = `${current + 1} of ${hits.length}`;
    show();
  }
  search.addEventListener("input", seek);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") next();
  });
  begin();
})();
