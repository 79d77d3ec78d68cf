// An array as tiles on a canvas: the two axes of a picture in each, the others beside and below each other.

const WIDEST = 540, MOST = 240; // pixels of a row of tiles; tiles that are drawn

class Tiles {
  // node: what it shows; numbers(): its elements as they are to be shown; told: {hover, pick, drag}
  constructor(node, number, numbers, told) {
    Object.assign(this, { node, number, numbers, told });
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'tiles' + (told.drag ? ' free' : '');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.canvas.dataset.node = number;
    this.layout();
    this.listen();
  }

  layout() {
    const { shape, tile } = this.node, all = shape.map((_, i) => i), steps = inOrder(shape);
    let [rows, columns] = tile.length === 2 ? tile.map(a => shape[a]) : [1, shape.length ? shape[0] : 1];
    let [down, right] = tile.length === 2 ? tile.map(a => steps[a]) : [0, 1];
    if (rows === 1 && columns > 32 && product(shape) === columns) { // a long vector in rows of 32
      this.length = columns;
      [rows, columns, down, right] = [Math.ceil(columns / 32), 32, 32, 1];
    }
    const lying = tile.length === 2 && shape.length === 2 && Math.max(rows, columns) > 32; // a matrix, along its longer axis
    if (lying && rows > columns) [rows, columns, down, right] = [columns, rows, right, down];
    const others = all.filter(a => tile.length === 2 && !tile.includes(a));
    const starts = offsets(others.map(a => shape[a]), others.map(a => steps[a]));
    const inner = others.length ? shape[others[others.length - 1]] : 1; // tiles of the last axis stand beside each other
    const small = Math.max(rows, columns);
    const numbered = product(shape) <= 36 && small <= 8;
    const room = lying ? WIDEST : starts.length < 2 ? 220 : small <= 7 ? Math.max(24, Math.min(84, WIDEST / inner - 9)) : starts.length > 6 ? 63 : 84;
    const cell = numbered ? 46 : Math.max(1, Math.min(22, Math.floor(room / small)));
    const gap = starts.length > 1 ? Math.max(3, Math.min(8, cell)) : 0;
    const wide = columns * cell + gap, fits = Math.max(1, Math.floor(WIDEST / wide));
    const across = inner <= fits ? (others.length > 1 ? inner : Math.min(starts.length, fits)) : fits;
    Object.assign(this, { rows, columns, down, right, cell, numbered, gap, across, starts: starts.slice(0, MOST), hidden: starts.length - MOST });
    this.width = across * wide + 2;
    this.height = Math.ceil(this.starts.length / across) * (rows * cell + gap) + 2;
  }
  corner(t) {
    return [1 + (t % this.across) * (this.columns * this.cell + this.gap), 1 + Math.floor(t / this.across) * (this.rows * this.cell + this.gap)];
  }
  at(e) { // where element e is drawn: [x, y], or null
    for (let t = 0; t < this.starts.length; t++) {
      const rest = e - this.starts[t], [x, y] = this.corner(t);
      if (rest < 0) continue;
      const r = this.rows > 1 ? Math.floor(rest / this.down) % this.rows : 0, c = Math.floor((rest - r * this.down) / this.right);
      if (c >= 0 && c < this.columns && rest === r * this.down + c * this.right) return [x + c * this.cell, y + r * this.cell];
    }
    return null;
  }
  under(event) { // the element under the pointer, -1 for none
    const box = this.canvas.getBoundingClientRect(), scale = this.width / box.width;
    const px = (event.clientX - box.left) * scale - 1, py = (event.clientY - box.top) * scale - 1;
    const wide = this.columns * this.cell + this.gap, high = this.rows * this.cell + this.gap;
    const tx = Math.floor(px / wide), ty = Math.floor(py / high), t = ty * this.across + tx;
    const c = Math.floor((px - tx * wide) / this.cell), r = Math.floor((py - ty * high) / this.cell);
    if (px < 0 || py < 0 || tx >= this.across || t >= this.starts.length || c >= this.columns || r >= this.rows) return -1;
    const e = this.starts[t] + r * this.down + c * this.right;
    return e < (this.length || Infinity) ? e : -1;
  }

  draw(picked, mask, scale) {
    const values = this.numbers(), { canvas, cell, width, height } = this, ratio = Math.min(3, devicePixelRatio || 1), p = palette();
    if (canvas.width !== Math.round(width * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = width + 'px';
      canvas.style.aspectRatio = `${width} / ${height}`;
    }
    const g = canvas.getContext('2d');
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const most = scale ?? largest(values), line = cell > 4 ? 0.5 : 0;
    if (this.numbered) { g.font = `12px ${MONO}`; g.textAlign = 'center'; g.textBaseline = 'middle'; }
    this.starts.forEach((start, t) => {
      const [x0, y0] = this.corner(t);
      for (let r = 0; r < this.rows; r++) for (let c = 0; c < this.columns; c++) {
        const e = start + r * this.down + c * this.right;
        if (e >= values.length || e >= (this.length || Infinity)) continue;
        const x = x0 + c * cell, y = y0 + r * cell, colour = shade(values[e], most);
        g.fillStyle = css(colour);
        g.fillRect(x, y, cell - line, cell - line);
        if (this.numbered) {
          g.fillStyle = contrast(colour);
          g.fillText(fitted(values[e]), x + cell / 2, y + cell / 2 + 1);
        }
      }
    });
    if (mask) this.outline(g, mask, css(p.lit));
    const place = picked >= 0 ? this.at(picked) : null;
    if (place) {
      g.strokeStyle = css(p.on);
      g.lineWidth = 2.5;
      g.strokeRect(place[0] - 1, place[1] - 1, Math.max(cell, 4) + 1.5, Math.max(cell, 4) + 1.5);
    }
  }

  outline(g, mask, colour) { // round the marked cells, not through them
    const { cell, rows, columns } = this;
    g.fillStyle = colour;
    const thick = cell > 6 ? 2.5 : 1.5;
    this.starts.forEach((start, t) => {
      const [x0, y0] = this.corner(t);
      const marked = (r, c) => r >= 0 && c >= 0 && r < rows && c < columns && mask[start + r * this.down + c * this.right];
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
        if (!marked(r, c)) continue;
        const x = x0 + c * cell, y = y0 + r * cell;
        if (!marked(r - 1, c)) g.fillRect(x - 1, y - 1, cell + 2, thick);
        if (!marked(r + 1, c)) g.fillRect(x - 1, y + cell + 1 - thick, cell + 2, thick);
        if (!marked(r, c - 1)) g.fillRect(x - 1, y - 1, thick, cell + 2);
        if (!marked(r, c + 1)) g.fillRect(x + cell + 1 - thick, y - 1, thick, cell + 2);
      }
    });
  }

  listen() {
    const { canvas, told } = this;
    let from = null;
    canvas.addEventListener('pointermove', event => {
      if (from) {
        const moved = from.y - event.clientY;
        if (from.dragging || Math.abs(moved) > 3) { from.dragging = true; told.drag(this.number, from.e, from.value + moved * from.step, false); }
      } else { const e = this.under(event); told.hover(this.number, e); }
    });
    canvas.addEventListener('pointerleave', () => { if (!from) told.hover(this.number, -1); });
    canvas.addEventListener('pointerdown', event => {
      const e = this.under(event);
      if (e < 0) return;
      told.pick(this.number, e);
      canvas.focus({ preventScroll: true });
      if (!told.drag) return;
      const values = this.told.current();
      from = { y: event.clientY, e, value: values[values.length === 1 ? 0 : e], step: Math.max(largest(values), 0.1) / 80, dragging: false };
      canvas.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    const end = () => { if (from && from.dragging) told.drag(this.number, from.e, null, true); from = null; };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    canvas.addEventListener('focus', () => { if (told.picked() < 0) told.pick(this.number, 0); });
    canvas.addEventListener('keydown', event => {
      const e = Math.max(0, told.picked()), n = this.length || product(this.node.shape);
      const next = { ArrowRight: e + this.right, ArrowLeft: e - this.right, ArrowDown: e + this.down, ArrowUp: e - this.down, Home: 0, End: n - 1 }[event.key];
      if (next !== undefined && next >= 0 && next < n) { told.pick(this.number, next); event.preventDefault(); }
      if (told.drag && '+-'.includes(event.key)) {
        const values = told.current(), v = values[values.length === 1 ? 0 : e];
        told.drag(this.number, e, v + (event.key === '+' ? 1 : -1) * Math.max(largest(values), 0.1) / 20, false);
        told.drag(this.number, e, null, true);
        event.preventDefault();
      }
      if (event.key === 'Enter') document.querySelector('#panel input[type=number]')?.focus();
    });
  }
}
function contrast(colour) { // ink that reads on a colour
  const light = rgb => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => sum + w * ((rgb[i] / 255 + 0.055) / 1.055) ** 2.4, 0.05);
  const apart = rgb => Math.max(light(rgb), light(colour)) / Math.min(light(rgb), light(colour));
  const p = palette();
  return css(apart(p.ink) > apart(p.inverse) ? p.ink : p.inverse);
}
function fitted(x) { // a number in six characters
  for (const digits of [4, 3, 2]) { const text = short(Number(x.toPrecision(digits))); if (text.length <= 6) return text; }
  return x.toExponential(0).replace('+', '');
}
