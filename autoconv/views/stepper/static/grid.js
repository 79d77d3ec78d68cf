// Grids: a matrix of numbers as coloured cells. Blue is positive, orange negative, stronger for larger; violet is not finite.
// Small ones are cells of an SVG picture with their numbers, large ones a canvas; both light cells and say which is pointed at.

const NUMBERED = 12, DRAWN = 1200; // columns of cells wide enough for numbers; cells that are elements of their own

function scaleOf(array) {
  if (array.scale) return array.scale;
  let most = 0;
  for (const x of array.data || array) if (Number.isFinite(amount(x))) most = Math.max(most, Math.abs(amount(x)));
  return array.scale = most || 1;
}

// cells: rows of {value, index, padding, colour, where}.  The figure has light(on, pin), sets of "r,c", and watch(f(r, c)).
function gridFigure(cells, options) {
  const rows = cells.length, columns = rows ? cells[0].length : 0, zoom = options.zoom || 1;
  const room = (options.room || 250) * zoom;
  const longest = Math.max(3, ...(columns <= NUMBERED || zoom > 1 ? cells.flat() : []).map((c) => c.padding ? 1 : short(c.value).length));
  const wide = longest * 7 + 8, fits = columns <= NUMBERED && rows <= 40 && columns * Math.max(30, wide) <= (options.wide || 360);
  const plain = Math.max(3, Math.min(26 * zoom, Math.floor(room / Math.max(columns, rows, 1))));
  const numbered = fits || plain >= wide;
  const grown = fits ? Math.max(1, zoom) * (Math.max(columns, rows) <= 4 && rows > 1 ? 1.4 : 1) : 1;
  const width = numbered ? Math.max(30, wide) * grown : plain, height = numbered ? 26 * grown : width;
  const made = rows * columns <= DRAWN ? cellsAsElements : cellsOnCanvas;
  const { picture, light, watch } = made(cells, rows, columns, width, height, numbered, options);
  const caption = element("figcaption", {}, element("b", {}, options.title), " ", element("span", { class: "shape" }, options.shape || ""));
  const figure = element("figure", { class: options.role || "", "data-grid": options.role || "" }, caption, element("div", { class: "scroll", role: "group", tabindex: 0, "aria-label": options.title }, picture));
  return Object.assign(figure, { light, watch });
}

function cellsAsElements(cells, rows, columns, width, height, numbered, options) {
  const svg = shape("svg", { width: columns * width + 4, height: rows * height + 4, role: "img", class: numbered ? "" : "tiny", "aria-label": `${options.title}, ${rows} by ${columns}` });
  const found = new Map();
  cells.forEach((row, r) => row.forEach((cell, c) => {
    const x = 2 + c * width, y = 2 + r * height, value = cell.value, size = amount(value), finite = Number.isFinite(size);
    const look = cell.padding ? "padding" : value === undefined ? "absent" : !finite ? "odd" : size > 0 ? "plus" : size < 0 ? "minus" : "none";
    const part = shape("g", { class: "cell", "data-row": r, "data-column": c });
    if (cell.index !== undefined) part.setAttribute("data-i", cell.index);
    const fill = shape("rect", { x, y, width, height, class: look });
    if (cell.grey !== undefined) { fill.setAttribute("class", "grey"); fill.setAttribute("fill", css(cell.grey)); }
    else if (!["none", "padding", "absent"].includes(look))
      fill.setAttribute("fill-opacity", finite ? (0.08 + (numbered ? 0.6 : 0.85) * Math.abs(size) / options.scale).toFixed(3) : 0.7);
    part.append(fill);
    if (cell.colour) part.append(shape("rect", { x: x + 1, y: y + height - 5, width: width - 2, height: 4, fill: cell.colour, stroke: "none" }));
    if (numbered) {
      const text = shape("text", { x: x + width / 2, y: y + height / 2 + 4, "font-size": height > 30 ? 12.5 : 11 });
      text.textContent = cell.padding ? "0" : short(value);
      if (cell.padding) text.setAttribute("opacity", 0.7);
      part.append(text);
    }
    const title = shape("title", {});
    title.textContent = said(cell);
    part.append(title);
    if (numbered) part.append(shape("rect", { x: x + 1, y: y + 1, width: width - 2, height: height - 2, class: "frame" }));
    svg.append(part);
    found.set(`${r},${c}`, part);
  }));
  const outlines = numbered ? [] : ["lit", "pin"].map((name) => shape("path", { class: `outline ${name}` }));
  svg.append(...outlines);
  return {
    picture: svg,
    light: (on, pin) => {
      outlines.forEach((path, k) => path.setAttribute("d", edgesOf(k ? pin : on, (r, c) => [2 + c * width, 2 + r * height], width, height)));
      for (const [key, part] of found) {
        part.classList.toggle("lit", on.has(key));
        part.classList.toggle("pin", pin.has(key));
      }
    },
    watch: (told) => {
      for (const part of found.values()) for (const kind of ["pointerenter", "click"])
        part.addEventListener(kind, () => told(Number(part.dataset.row), Number(part.dataset.column)));
    },
  };
}
// The outline of the cells in a set of "r,c".
function edgesOf(keys, corner, width, height) {
  let d = "";
  for (const key of keys) {
    const [r, c] = key.split(",").map(Number), [x, y] = corner(r, c), out = (a, b) => !keys.has(`${a},${b}`);
    if (out(r - 1, c)) d += `M${x} ${y}h${width}`;
    if (out(r + 1, c)) d += `M${x} ${y + height}h${width}`;
    if (out(r, c - 1)) d += `M${x} ${y}v${height}`;
    if (out(r, c + 1)) d += `M${x + width} ${y}v${height}`;
  }
  return d;
}
const said = (cell) => (cell.where ? cell.where + " = " : "") + (cell.padding ? "0 (padding)" : cell.value === undefined ? "not in this page" : short(cell.value));

function cellsOnCanvas(cells, rows, columns, width, height, numbered, options) {
  const canvas = element("canvas", { role: "img", "aria-label": `${options.title}, ${rows} by ${columns}`, class: "cells" });
  let on = new Set(), pin = new Set();
  const draw = () => {
    const g = sized(canvas, columns * width + 4, rows * height + 4), p = palette();
    cells.forEach((row, r) => row.forEach((cell, c) => {
      const value = cell.value === undefined ? cell.near : cell.value;
      if (cell.padding || value === undefined) return;
      g.fillStyle = css(cell.grey !== undefined ? cell.grey : shade(value, options.scale));
      g.fillRect(2 + c * width, 2 + r * height, width, height);
    }));
    g.strokeStyle = css(p.line);
    g.strokeRect(1.5, 1.5, columns * width + 1, rows * height + 1);
    g.lineWidth = 2;
    for (const [keys, colour] of [[on, p.lit], [pin, p.on]]) {
      g.strokeStyle = css(colour);
      g.stroke(new Path2D(edgesOf(keys, (r, c) => [2 + c * width, 2 + r * height], width, height)));
    }
  };
  draw();
  return {
    picture: canvas,
    light: (a, b) => { on = a; pin = b; draw(); },
    watch: (told) => {
      const at = (event) => {
        const box = canvas.getBoundingClientRect(), r = Math.floor((event.clientY - box.top - 2) / height), c = Math.floor((event.clientX - box.left - 2) / width);
        if (r < 0 || c < 0 || r >= rows || c >= columns) return;
        canvas.title = said(cells[r][c]);
        told(r, c);
      };
      canvas.addEventListener("pointermove", at);
      canvas.addEventListener("click", at);
    },
  };
}

function sized(canvas, width, height) {
  const ratio = Math.min(3, devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return g;
}

// The grey or colour of an image's cell, from its least number (black) to its largest (white).
function imageColour(array, index, alone) {
  if (!array.range) {
    const numbers = [...array.data].map(amount).filter(Number.isFinite), low = Math.min(...numbers), high = Math.max(...numbers);
    const whole = numbers.every(Number.isInteger);
    array.range = low >= 0 && high <= 1 ? [0, 1] : low >= 0 && high <= 255 && whole ? [0, 255] : [low, high];
  }
  const [low, high] = array.range, level = (i) => 255 * Math.min(1, Math.max(0, (amount(array.near(i)) - low) / (high - low || 1)));
  if (alone || array.picture !== "colour") return [level(index), level(index), level(index)];
  const axis = (array.others.find(([, name]) => name === "channel") || [0])[0];
  const first = index - indexOf(array, index)[axis] * array.steps[axis];
  return [0, 1, 2].map((c) => level(first + c * array.steps[axis]));
}
