// Grids: a matrix of numbers as coloured cells. Blue is positive, orange negative, stronger for larger; violet is not finite.

const NUMBERED = 12; // columns of cells wide enough for numbers

function scaleOf(data) {
  let most = 0;
  for (const x of data) if (Number.isFinite(amount(x))) most = Math.max(most, Math.abs(amount(x)));
  return most || 1;
}

// cells: rows of {value, index, padding, colour}; the figure has .cells, a map from index (or "r,c") to its element.
function gridFigure(cells, options) {
  const rows = cells.length, columns = rows ? cells[0].length : 0;
  const numbered = columns <= NUMBERED && rows <= 40;
  const longest = numbered ? Math.max(3, ...cells.flat().map((c) => c.padding ? 1 : short(c.value).length)) : 0;
  const width = numbered ? Math.max(30, longest * 7 + 8) : columns > 60 ? 6 : columns > 30 ? 9 : 13;
  const height = numbered ? 26 : width;
  const svg = shape("svg", { width: columns * width + 4, height: rows * height + 4, role: "img", class: numbered ? "" : "tiny" });
  const found = new Map();
  cells.forEach((row, r) => row.forEach((cell, c) => {
    const x = 2 + c * width, y = 2 + r * height, value = cell.value, size = amount(value), finite = Number.isFinite(size);
    const look = cell.padding ? "padding" : !finite ? "odd" : size > 0 ? "plus" : size < 0 ? "minus" : "none";
    const part = shape("g", { class: "cell", "data-row": r, "data-column": c });
    if (cell.index !== undefined) part.setAttribute("data-i", cell.index);
    const fill = shape("rect", { x, y, width, height, class: look });
    if (look !== "none" && look !== "padding")
      fill.setAttribute("fill-opacity", finite ? (0.08 + 0.6 * Math.abs(size) / options.scale).toFixed(3) : 0.7);
    part.append(fill);
    if (cell.colour) part.append(shape("rect", { x: x + 1, y: y + height - 5, width: width - 2, height: 4, fill: cell.colour, stroke: "none" }));
    if (numbered) {
      const text = shape("text", { x: x + width / 2, y: y + height / 2 + 4, "font-size": 11 });
      text.textContent = cell.padding ? "0" : short(value);
      if (cell.padding) text.setAttribute("opacity", 0.5);
      part.append(text);
    }
    const title = shape("title", {});
    title.textContent = (cell.where ? cell.where + " = " : "") + (cell.padding ? "0 (padding)" : short(value));
    part.append(title, shape("rect", { x: x + 1, y: y + 1, width: width - 2, height: height - 2, class: "frame" }));
    svg.append(part);
    found.set(`${r},${c}`, part);
  }));
  const caption = element("figcaption", {}, element("b", {}, options.title), " ", element("span", { class: "shape" }, options.shape || ""));
  const figure = element("figure", { class: options.role || "", "data-grid": options.role || "" }, caption, element("div", { class: "scroll" }, svg));
  figure.cells = found;
  return figure;
}

// Any tensor: two axes as rows and columns, the others chosen; what is only described is said in words.
function tensorFigure(array, title, role, chosen) {
  const shapeText = array.shape.length ? `(${array.shape.join(", ")})` : "";
  if (!array.data) {
    const alone = array.shape.reduce((a, b) => a * b, 1) <= 4 || array.says.startsWith("all ");
    const words = element("p", { class: "soft" }, alone ? array.says : array.says + " (too large for this page; save(..., numbers=\"all\") keeps every number)");
    const caption = element("figcaption", {}, element("b", {}, title), " ", element("span", { class: "shape" }, shapeText));
    if (!array.corner) return element("figure", { class: role, "data-grid": role }, caption, words);
    const whole = array.corner.shape.every((n, axis) => n === array.shape[axis]);
    const shown = tensorFigure(array.corner, title, role, chosen);
    shown.querySelector(".shape").textContent = whole ? shapeText : `${shapeText}, a corner`;
    if (!whole) shown.querySelector("figure").append(element("p", { class: "soft" }, array.says));
    return shown;
  }
  const order = array.shape.map((n, axis) => [n, axis]).filter(([n]) => n > 1);
  let shown = order.map(([, axis]) => axis);
  if (shown.length > 2) {
    const largest = [...order].sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, 2);
    shown = largest.map(([, axis]) => axis).sort((a, b) => a - b);
  }
  const steps = array.shape.map((_, axis) => array.shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const [down, across] = shown.length === 2 ? shown : [-1, shown.length ? shown[0] : -1];
  const count = (axis) => axis < 0 ? 1 : array.shape[axis];
  const others = order.filter(([, axis]) => axis !== down && axis !== across);
  const key = `${title}|${shapeText}`;
  const at = chosen.get(key) || others.map(() => 0);
  chosen.set(key, at);
  const scale = array.scale || (array.scale = scaleOf(array.data));
  const holder = element("div", {});
  const draw = () => {
    const start = others.reduce((sum, [, axis], i) => sum + at[i] * steps[axis], 0);
    const cells = [];
    for (let r = 0; r < Math.min(count(down), 120); r++) {
      const row = [];
      for (let c = 0; c < Math.min(count(across), 120); c++) {
        const index = start + (down < 0 ? 0 : r * steps[down]) + (across < 0 ? 0 : c * steps[across]);
        const where = array.shape.map((n, axis) => Math.floor(index / steps[axis]) % n);
        row.push({ value: array.data[index], index, where: where.length ? `[${where.join(", ")}]` : "" });
      }
      cells.push(row);
    }
    const figure = gridFigure(array.data.length ? cells : [], { title, shape: shapeText, scale, role });
    others.forEach(([n, axis], i) => {
      figure.firstChild.append(" ", picker(`axis ${axis}`, n, at[i], (value) => { at[i] = value; draw(); }));
    });
    holder.replaceChildren(figure);
  };
  draw();
  return holder;
}

function picker(name, count, value, change) {
  const select = element("select", { "aria-label": name });
  for (let i = 0; i < count; i++) select.append(element("option", { value: i }, String(i)));
  select.value = value;
  select.addEventListener("change", () => change(Number(select.value)));
  return element("label", {}, name + " ", select);
}
