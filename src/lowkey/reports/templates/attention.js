"use strict";
// Convenience only: the page can be read without it. No text of a model or a user stands in here.
(() => {
  const heads = [...document.querySelectorAll(".head svg")];
  const layers = [...document.querySelectorAll(".layer")];
  const tools = document.querySelector(".tools");
  const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 2 });
  const decoded = new WeakMap();
  let current = null; // { layer, row, column } of the cell that is looked at

  const number = (svg, name) => Number(svg.dataset[name]);

  // 16 bits a weight, the most significant byte first; 65535 stands for one.
  function weights(svg) {
    if (!decoded.has(svg)) {
      const bytes = Uint8Array.from(atob(svg.dataset.weights), (char) => char.charCodeAt(0));
      const view = new DataView(bytes.buffer);
      decoded.set(svg, Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i) / 65535));
    }
    return decoded.get(svg);
  }

  // The labels are drawn once for all heads of one kind; the page says where they are.
  function names(svg, side) {
    const labels = document.querySelector(svg.querySelector("use").getAttribute("href"));
    return [...labels.querySelectorAll(`.${side}`)];
  }

  function mark(svg, row, column) {
    const group = svg.querySelector(".mark");
    const [left, top, cell] = ["left", "top", "cell"].map((name) => number(svg, name));
    const [rows, columns] = [number(svg, "rows"), number(svg, "columns")];
    group.replaceChildren();
    const box = (x, y, width, height) => {
      const rect = document.createElementNS(svg.namespaceURI, "rect");
      rect.setAttribute("class", "band");
      Object.entries({ x, y, width, height }).forEach(([key, value]) => rect.setAttribute(key, value));
      group.append(rect);
    };
    if (row !== null) box(left, top + row * cell, columns * cell, cell);
    if (column !== null) box(left + column * cell, top, cell, rows * cell);
    if (row !== null) group.append(names(svg, "query")[row].cloneNode(true));
    if (column !== null) group.append(names(svg, "key")[column].cloneNode(true));
  }

  function read(svg, row, column) {
    const columns = number(svg, "columns");
    const all = weights(svg);
    const query = (i) => names(svg, "query")[i].textContent;
    const key = (i) => names(svg, "key")[i].textContent;
    if (row !== null && column !== null) {
      return `${query(row)} → ${key(column)}: ${percent.format(all[row * columns + column])}`;
    }
    const shares = row !== null
      ? [...all.slice(row * columns, (row + 1) * columns)]
      : Array.from({ length: number(svg, "rows") }, (_, i) => all[i * columns + column]);
    const best = shares.map((share, i) => [share, i]).sort((a, b) => b[0] - a[0]).slice(0, 3);
    return row !== null
      ? `${query(row)} → ${best.map(([share, i]) => `${key(i)} ${percent.format(share)}`).join(", ")}`
      : `${best.map(([share, i]) => `${query(i)} ${percent.format(share)}`).join(", ")} → ${key(column)}`;
  }

  function clear() {
    if (!current) return;
    for (const svg of current.layer.querySelectorAll("svg")) svg.querySelector(".mark").replaceChildren();
    for (const reading of current.layer.querySelectorAll(".reading")) reading.textContent = "";
    current = null;
  }

  // All heads of a layer tell of the same cell, so that they can be compared.
  function look(svg, row, column) {
    const layer = svg.closest(".layer");
    if (current && current.layer === layer && current.row === row && current.column === column) return;
    clear();
    current = { layer, row, column };
    for (const other of layer.querySelectorAll("svg")) {
      mark(other, row, column);
      other.closest(".head").querySelector(".reading").textContent = read(other, row, column);
    }
  }

  function point(event) {
    const svg = event.currentTarget;
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const cell = number(svg, "cell");
    const row = Math.floor((place.y - number(svg, "top")) / cell);
    const column = Math.floor((place.x - number(svg, "left")) / cell);
    const inRows = row >= 0 && row < number(svg, "rows");
    const inColumns = column >= 0 && column < number(svg, "columns");
    if (!(inRows || inColumns) || row >= number(svg, "rows") || column >= number(svg, "columns")) clear();
    else look(svg, inRows ? row : null, inColumns ? column : null);
  }

  const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  function step(event) {
    const svg = event.currentTarget;
    if (event.key === "Escape") return clear();
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    const here = current && current.layer === svg.closest(".layer") ? current : { row: 0, column: 0 };
    const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);
    const [down, right] = here === current ? move : [0, 0];
    look(
      svg,
      clamp((here.row ?? 0) + down, number(svg, "rows")),
      clamp((here.column ?? 0) + right, number(svg, "columns")),
    );
    svg.closest(".head").querySelector(".reading").setAttribute("aria-live", "polite");
  }

  function filter() {
    const [kind, layer, head] = ["kind", "layer", "head"].map((name) => tools.querySelector(`[name=${name}]`).value);
    clear();
    for (const fold of layers) {
      fold.hidden = (kind && fold.dataset.kind !== kind) || (layer && fold.dataset.layer !== layer);
      for (const figure of fold.querySelectorAll(".head")) figure.hidden = head && figure.dataset.head !== head;
    }
    const shown = layers.filter((fold) => !fold.hidden);
    tools.querySelector("output").textContent = `${shown.length} of ${layers.length} layers`;
    if (kind || layer || head) for (const fold of shown.slice(0, 6)) fold.open = true;
  }

  function fold(open) {
    for (const one of layers) if (!one.hidden) one.open = open;
  }

  for (const svg of heads) {
    for (const title of svg.querySelectorAll("title")) title.remove(); // the reading says more
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && clear());
    svg.addEventListener("keydown", step);
    svg.addEventListener("blur", clear);
  }
  tools.addEventListener("change", filter);
  tools.querySelector("[data-fold=open]").addEventListener("click", () => fold(true));
  tools.querySelector("[data-fold=closed]").addEventListener("click", () => fold(false));
  tools.hidden = false;
  filter();
})();
