// A digit drawn with the mouse.  Each pixel of the image is 4 x 4 dots of the paper, and its number is how many of them
// have ink: so were the handwritten digits of the UCI data set made, from bitmaps of 32 x 32.

const FINE = 4;

class Paper {
  constructor(page, view) {
    Object.assign(this, { page, view, about: page.draw });
    if (!this.about) return;
    document.getElementById('drawing').hidden = false;
    this.canvas = document.getElementById('paper');
    this.high = this.about.height * FINE;
    this.wide = this.about.width * FINE;
    this.dots = new Uint8Array(this.high * this.wide);
    this.canvas.width = this.wide * 8;
    this.canvas.height = this.high * 8;
    this.canvas.setAttribute('aria-label', `${page.nodes[this.about.node].name}: draw with the mouse; arrow keys move the pen, space draws`);
    this.brush = document.getElementById('brush');
    this.erase = document.getElementById('erase');
    this.help = document.getElementById('help');
    this.wish = document.getElementById('wish');
    this.wish.hidden = !page.nodes[this.about.node] || page.nodes[this.about.node].grad < 0;
    this.help.addEventListener('change', () => this.paint());
    document.getElementById('blank').addEventListener('click', () => {
      this.dots.fill(0);
      this.send();
      view.finish();
    });
    this.pen = { x: this.wide / 2, y: this.high / 2 };
    this.listen();
    this.examples();
  }

  listen() {
    const { canvas, view } = this;
    let last = null;
    const point = event => {
      const box = canvas.getBoundingClientRect();
      return { x: (event.clientX - box.left) / box.width * this.wide, y: (event.clientY - box.top) / box.height * this.high };
    };
    canvas.addEventListener('pointerdown', event => {
      last = this.pen = point(event);
      canvas.setPointerCapture(event.pointerId);
      this.line(last, last);
      this.send();
    });
    canvas.addEventListener('pointermove', event => {
      if (!last) return;
      const every = event.getCoalescedEvents ? event.getCoalescedEvents() : [event];
      for (const one of every.length ? every : [event]) { const p = point(one); this.line(last, p); last = this.pen = p; }
      this.send();
    });
    const end = () => { if (last) view.finish(); last = null; };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    canvas.addEventListener('keydown', event => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step && event.key !== ' ') return;
      event.preventDefault();
      if (step) this.pen = { x: Math.min(this.wide, Math.max(0, this.pen.x + step[0])), y: Math.min(this.high, Math.max(0, this.pen.y + step[1])) };
      if (event.key === ' ' || event.shiftKey) { this.line(this.pen, this.pen); this.send(); view.finish(); } else this.paint();
    });
  }

  line(from, to) { // the dots within the brush of a line
    const radius = Number(this.brush.value) / 2, ink = this.erase.checked ? 0 : 1;
    const n = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) * 2));
    for (let k = 0; k <= n; k++) {
      const x = from.x + (to.x - from.x) * k / n, y = from.y + (to.y - from.y) * k / n;
      if (radius < 0.5) { this.dot(Math.floor(x), Math.floor(y), ink); continue; }
      for (let j = Math.floor(y - radius); j <= y + radius; j++) for (let i = Math.floor(x - radius); i <= x + radius; i++)
        if (Math.hypot(i + 0.5 - x, j + 0.5 - y) <= radius) this.dot(i, j, ink);
    }
  }
  dot(i, j, ink) {
    if (i >= 0 && j >= 0 && i < this.wide && j < this.high) this.dots[j * this.wide + i] = ink;
  }

  send() { // the image from the dots
    const { node, width, height, paper, ink } = this.about, image = new Array(width * height).fill(0);
    this.dots.forEach((d, k) => { image[Math.floor(k / this.wide / FINE) * width + Math.floor(k % this.wide / FINE)] += d; });
    const scale = (ink - paper) / (FINE * FINE);
    this.own = image.map(n => paper + n * scale); // what the dots say
    this.view.edit(node, null, this.own, false);
    this.paint();
  }
  follow() { // the image was changed elsewhere: as many dots in each pixel as its number says
    if (!this.about) return;
    const { node, width, paper, ink } = this.about, image = this.view.values[node];
    if (!this.own || image.some((v, k) => Math.abs(v - this.own[k]) > 1e-6 * (ink - paper))) {
      this.own = null;
      const place = [5, 10, 6, 9, 4, 11, 1, 14, 2, 13, 7, 8, 0, 15, 3, 12]; // from the middle outwards
      image.forEach((v, p) => {
        const n = Math.round((v - paper) / (ink - paper) * FINE * FINE);
        place.forEach((q, k) => {
          this.dots[(Math.floor(p / width) * FINE + (q >> 2)) * this.wide + (p % width) * FINE + (q & 3)] = k < n ? 1 : 0;
        });
      });
    }
    this.say();
    this.paint();
  }

  // What the gradient on the pixels is about: "a 3" where the target is one of the classes.
  say() {
    const { page, view } = this, k = targetOf(page), what = k < 0 ? 'a smaller loss' : page.classes?.[view.values[k][0]] ?? view.values[k][0];
    this.wish.lastChild.textContent = ` what would make it ${k < 0 ? '' : 'a '}${what}: blue more ink, orange less`;
  }
  paint() { // the pixels in grey, the dots on them; where ink would help or hurt, if asked
    const { canvas, wide } = this, g = canvas.getContext('2d'), p = palette(), { node, width, height, paper, ink } = this.about;
    const image = this.view.values[node], grad = this.view.grads[node], size = 8 * FINE;
    g.fillStyle = css(p.paper);
    g.fillRect(0, 0, canvas.width, canvas.height);
    const most = grad ? largest(grad) : 0;
    for (let k = 0; k < width * height; k++) {
      const x = (k % width) * size, y = Math.floor(k / width) * size, t = Math.min(1, Math.max(0, (image[k] - paper) / (ink - paper)));
      g.fillStyle = css(mix(p.paper, p.ink, t * 0.45));
      g.fillRect(x, y, size, size);
      if (this.help.checked && most) {
        const s = -grad[k] / most, edge = size * Math.sqrt(Math.abs(s)) * 0.7;
        g.fillStyle = css(s > 0 ? p.plus : p.minus);
        g.fillRect(x + (size - edge) / 2, y + (size - edge) / 2, edge, edge);
      }
    }
    if (!this.help.checked) {
      g.fillStyle = css(p.ink);
      this.dots.forEach((d, k) => { if (d) g.fillRect((k % wide) * 8, Math.floor(k / wide) * 8, 8, 8); });
    }
    const mask = this.view.masks.get(node);
    const lit = (r, c) => r >= 0 && c >= 0 && r < height && c < width && mask[r * width + c];
    g.fillStyle = css(p.lit);
    for (let k = 0; mask && k < width * height; k++) { // round the receptive field, not through it
      const c = k % width, r = Math.floor(k / width), x = c * size, y = r * size;
      if (!mask[k]) continue;
      if (!lit(r - 1, c)) g.fillRect(x, y, size, 4);
      if (!lit(r + 1, c)) g.fillRect(x, y + size - 4, size, 4);
      if (!lit(r, c - 1)) g.fillRect(x, y, 4, size);
      if (!lit(r, c + 1)) g.fillRect(x + size - 4, y, 4, size);
    }
    g.lineWidth = 3;
    if (document.activeElement === canvas) { g.strokeStyle = css(p.on); g.strokeRect(this.pen.x * 8 - 5, this.pen.y * 8 - 5, 10, 10); }
  }

  examples() { // an example of the data as the input
    const { examples } = this.page;
    if (!examples) return;
    document.getElementById('showing').hidden = false;
    let at = -1;
    const show = step => {
      at = (at + step + examples.count) % examples.count;
      for (const { node, array, row } of examples.feeds) {
        const data = this.view.arrays[array], k = product(this.page.nodes[node].shape);
        this.view.edit(node, null, Array.from({ length: k }, (_, i) => data[(at * row + i) % data.length]), false);
      }
      this.view.finish();
      document.getElementById('which').textContent = `${at + 1} of ${examples.count}`;
    };
    document.getElementById('example').addEventListener('click', () => show(1));
    document.getElementById('previous').addEventListener('click', () => show(-1));
  }
}

// The node of the one whole number that says what is wanted, -1 if there is none.
function targetOf(page) {
  return page.nodes.findIndex(node => node.input >= 0 && product(node.shape) === 1 && 'iu'.includes(node.dtype[0]) && node.role !== 'parameter');
}

// The softmax of the logits as bars; with a target among the inputs a click on a class asks for it.
class Bars {
  constructor(page, view) {
    Object.assign(this, { page, view });
    if (page.logits === null || page.logits === undefined) return;
    document.getElementById('reading').hidden = false;
    const n = page.nodes[page.logits].shape.slice(-1)[0] || 1, root = document.getElementById('bars');
    this.target = targetOf(page);
    this.rows = Array.from({ length: n }, (_, k) => {
      const row = make('button', undefined, 'read'), meter = make('meter'), share = make('span');
      row.append(make('b', page.classes ? page.classes[k] ?? String(k) : String(k)), meter, share);
      meter.max = 1;
      if (this.target >= 0) {
        row.title = `make ${page.classes?.[k] ?? k} the target`;
        row.addEventListener('click', () => { view.edit(this.target, 0, k, true); });
      }
      root.append(row);
      return { row, meter, share };
    });
  }
  draw() {
    if (!this.rows) return;
    const logits = this.view.values[this.page.logits].slice(0, this.rows.length), most = Math.max(...logits);
    const e = Array.from(logits, v => Math.exp(v - most)), sum = e.reduce((a, b) => a + b, 0), best = logits.indexOf(most);
    const target = this.target >= 0 ? this.view.values[this.target][0] : -1;
    this.rows.forEach(({ row, meter, share }, k) => {
      meter.value = e[k] / sum;
      share.textContent = (100 * e[k] / sum).toFixed(1) + ' %';
      row.classList.toggle('most', k === best);
      row.setAttribute('aria-pressed', String(k === target));
      row.querySelector('b').classList.toggle('plus', k === target);
    });
  }
}
