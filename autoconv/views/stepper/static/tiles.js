// Any array as pictures: images as images, kernels one tile for each pair of channels, feature maps one tile for each channel.
// Which axes are rows and columns of a tile, and what the others are called, the trace says.

const WIDEST = 250, TILES = 256; // pixels of a tile that stands alone; tiles that are drawn

// told: {hover(index), pick(index)}; the figure has choose(index): the tile with that element is framed.
function tensorFigure(array, title, role, told = {}, zoom = 1) {
  const shapeText = array.shape.length ? `(${array.shape.join(", ")})` : "";
  const long = (axis) => axis !== undefined;
  const [down, across] = array.tile.length === 2 ? array.tile : [undefined, array.tile[0]];
  const rows = long(down) ? array.kept[down] : 1, columns = long(across) ? array.kept[across] : 1;
  const picture = array.picture, others = array.others.filter(([, name]) => !(picture === "colour" && name === "channel"));
  const total = product(array.shape), part = product(array.kept) < total;
  const step = (axis) => long(axis) ? array.steps[axis] * array.every[axis] : 0;
  const [allRows, allColumns] = [long(down) ? array.shape[down] : 1, long(across) ? array.shape[across] : 1];
  if (!others.length && !picture && allColumns <= NUMBERED && allRows <= 40 && total) {
    const cells = range(rows).map((r) => range(columns).map((c) => {
      const index = r * step(down) + c * step(across);
      return { value: array.get(index), index, where: where(array, index) };
    }));
    const figure = gridFigure(cells, { title, shape: shapeText, scale: scaleOf(array), role, zoom, wide: 760, room: 420 });
    if (told.hover || told.pick) figure.watch((r, c) => (told.hover || told.pick)(r * step(down) + c * step(across)));
    note(figure, array, part, rows, columns, []);
    figure.mark = (index) => figure.light(new Set([`${step(down) ? Math.floor(index / step(down)) % rows : 0},${step(across) ? Math.floor(index / step(across)) % columns : 0}`]), new Set());
    figure.choose = () => {};
    return figure;
  }
  const caption = element("figcaption", {}, element("b", {}, title), " ", element("span", { class: "shape" }, shapeText));
  const figure = element("figure", { class: role, "data-grid": role }, caption);
  figure.choose = () => {};
  if (!product(array.kept)) { figure.append(element("p", { class: "soft" }, total ? array.says || "" : "empty")); return figure; }

  // tiles: the last of the other axes runs across, the ones before it down
  const counts = others.map(([axis]) => array.kept[axis]), inner = counts.length ? counts[counts.length - 1] : 1;
  let lines = product(counts.slice(0, -1));
  let [R, C, stepDown, stepAcross, turned] = [rows, columns, step(down), step(across), false];
  if (!others.length && C === 1 && R > 1) [R, C, stepDown, stepAcross] = [1, R, 0, stepDown];
  if (!others.length && R > 2 * C) [R, C, stepDown, stepAcross, turned] = [C, R, stepAcross, stepDown, true];
  const vector = R === 1 && !others.length, wrap = vector && C > 40 ? 40 : 0;
  const alone = lines * inner === 1, size = Math.max(R, vector ? 1 : C);
  const room = vector ? 440 : alone ? (turned ? 520 : WIDEST) : size <= 7 ? 56 : size <= 16 ? 72 : 96;
  const cell = Math.max(1, Math.min(alone && !vector ? 24 : 14, Math.floor(room / (wrap || (vector ? C : Math.max(R, C)))))) * (zoom < 1 ? Math.max(zoom, 0.5) : zoom);
  const tileWide = (wrap || C) * cell, tileHigh = (wrap ? Math.ceil(C / wrap) : R) * cell;
  const labelled = !alone, gap = alone ? 0 : 8, left = lines > 1 ? 30 : 0, top = labelled ? 13 : 0;
  const limit = Math.max(1, Math.floor((told.width || 600) * Math.max(1, zoom) / (tileWide + gap)));
  const each = Math.min(inner, Math.max(1, limit)), folds = Math.ceil(inner / each);
  lines = Math.min(lines, Math.max(1, Math.floor(TILES / inner)));
  const canvas = element("canvas", { class: "tiles", role: "img", tabindex: 0 });
  const names = others.map(([, name]) => name);
  const ends = array.says ? `, from ${array.says.replace("..", "to")}` : "";
  canvas.setAttribute("aria-label", alone ? `${title}, ${rows} by ${columns}${ends}` : `${title}, ${lines * inner} tiles of ${rows} by ${columns}, by ${names.join(" and ")}${ends}`);
  const startOf = (line, i) => {
    let flat = i * (others.length ? array.steps[others[others.length - 1][0]] : 0), rest = line;
    for (let k = others.length - 2; k >= 0; k--) { flat += (rest % counts[k]) * array.steps[others[k][0]]; rest = Math.floor(rest / counts[k]); }
    return flat;
  };
  const corner = (line, i) => [left + (i % each) * (tileWide + gap), (line * folds + Math.floor(i / each)) * (tileHigh + gap + top) + top];
  let chosen = null, at = -1;
  const scale = scaleOf(array), width = left + each * (tileWide + gap) - gap + 2, height = lines * folds * (tileHigh + gap + top) - gap + 2;
  const draw = () => {
    const g = sized(canvas, width, height), p = palette();
    g.font = "10px system-ui, sans-serif";
    for (let line = 0; line < lines; line++) for (let i = 0; i < inner; i++) {
      const start = startOf(line, i), [x, y] = corner(line, i);
      for (let r = 0; r < R; r++) for (let c = 0; c < C; c++) {
        const index = start + r * stepDown + c * stepAcross, value = array.get(index);
        if (value === undefined) continue;
        g.fillStyle = css(picture ? imageColour(array, index) : shade(value, scale));
        g.fillRect(x + (wrap ? c % wrap : c) * cell, y + (wrap ? Math.floor(c / wrap) : r) * cell, cell, cell);
      }
      if (!wrap) { g.strokeStyle = css(chosen === start ? p.on : p.line); g.lineWidth = chosen === start ? 2 : 1; g.strokeRect(x - 0.5, y - 0.5, tileWide + 1, tileHigh + 1); }
      if (labelled) {
        g.fillStyle = css(chosen === start ? p.ink : p.soft);
        if (tileWide >= 14 || i % 4 === 0) g.fillText(i === 0 && tileWide > 40 && line === 0 ? `${names[names.length - 1]} 0` : String(i), x, y - 3);
      }
    }
    if (left) for (let line = 0; line < lines; line++) {
      g.fillStyle = css(p.soft);
      const [, y] = corner(line, 0);
      g.fillText(names.length > 1 ? `${names[names.length - 2]} ${line}` : String(line), 0, y + Math.min(tileHigh, 12));
    }
    if (at >= 0) {
      const spot = placeOf(at);
      if (spot) { g.strokeStyle = css(p.on); g.lineWidth = 2; g.strokeRect(spot[0] - 1, spot[1] - 1, cell + 2, cell + 2); }
    }
  };
  const placeOf = (index) => {
    for (let line = 0; line < lines; line++) for (let i = 0; i < inner; i++) {
      const rest = index - startOf(line, i), [x, y] = corner(line, i);
      if (rest < 0) continue;
      for (let r = 0; r < R; r++) for (let c = 0; c < C; c++)
        if (rest === r * stepDown + c * stepAcross) return [x + (wrap ? c % wrap : c) * cell, y + (wrap ? Math.floor(c / wrap) : r) * cell];
    }
    return null;
  };
  const under = (event) => {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    const i0 = Math.floor((px - left) / (tileWide + gap)), line0 = Math.floor(py / (tileHigh + gap + top));
    const line = Math.floor(line0 / folds), i = (line0 % folds) * each + i0;
    if (i0 < 0 || i0 >= each || line < 0 || line >= lines || i >= inner) return -1;
    const [x, y] = corner(line, i), c0 = Math.floor((px - x) / cell), r0 = Math.floor((py - y) / cell);
    const [r, c] = wrap ? [0, r0 * wrap + c0] : [r0, c0];
    if (c0 < 0 || r0 < 0 || r >= R || c >= C || (wrap && c0 >= wrap)) return -1;
    return startOf(line, i) + r * stepDown + c * stepAcross;
  };
  const point = (index) => { at = index; draw(); if (told.hover) told.hover(index); };
  canvas.addEventListener("pointermove", (event) => { const index = under(event); if (index >= 0 && index !== at) { canvas.title = `${title}${where(array, index)} = ${short(array.get(index))}`; if (told.hover) told.hover(index); } });
  canvas.addEventListener("click", (event) => { const index = under(event); if (index >= 0) { point(index); if (told.pick) told.pick(index); } });
  canvas.addEventListener("keydown", (key) => {
    const by = { ArrowRight: stepAcross, ArrowLeft: -stepAcross, ArrowDown: stepDown, ArrowUp: -stepDown }[key.key];
    if (key.key === "Enter" && at >= 0 && told.pick) told.pick(at);
    else if (by === undefined || key.altKey || key.ctrlKey || key.shiftKey) return;
    else { const next = at < 0 ? 0 : at + by; if (next >= 0 && next < total && array.get(next) !== undefined) point(next); }
    key.preventDefault();
    key.stopPropagation();
  });
  draw();
  figure.append(element("div", { class: "scroll" }, canvas));
  figure.mark = (index) => { at = index; draw(); };
  figure.choose = (index) => {
    let found = null;
    for (let line = 0; line < lines && found === null; line++) for (let i = 0; i < inner; i++) {
      const start = startOf(line, i);
      if (others.every(([axis]) => indexOf(array, start)[axis] === indexOf(array, index)[axis])) { found = start; break; }
    }
    if (found !== chosen) { chosen = alone ? null : found; draw(); }
  };
  note(figure, array, part, rows, columns, others.map(([axis, name]) => [name, array.kept[axis], array.shape[axis]]));
  return figure;
}

function note(figure, array, part, rows, columns, others) {
  const words = [];
  if (array.picture) words.push(array.range ? `black ${short(array.range[0])}, white ${short(array.range[1])}` : "");
  else if (array.says && product(array.shape) > 4) words.push(array.says);
  if (part) {
    const cut = others.filter(([, kept, all]) => kept < all).map(([name, kept, all]) => `${name}: the first ${kept} of ${all}`);
    array.tile.forEach((axis, k) => { if (array.kept[axis] * array.every[axis] < array.shape[axis]) cut.push(`${array.tile.length > 1 && k === 0 ? "rows" : "columns"}: the first ${array.kept[axis]} of ${array.shape[axis]}`); });
    const every = Math.max(1, ...array.every);
    if (every > 1) cut.push(`every ${["", "", "second", "third"][every] || every + "th"} row and column`);
    words.push(cut.join(", "));
  }
  const text = words.filter(Boolean).join("; ");
  if (text) figure.append(element("p", { class: "soft note" }, text));
}
const range = (n) => Array.from({ length: n }, (_, i) => i);
