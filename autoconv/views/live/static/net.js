// The calculation as cards, in its order: what each call gives, with the parameters that it reads.

const make = (tag, text, name) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text; // never as HTML: names are anybody's
  if (name) element.className = name;
  return element;
};

const MAPPED = 5; // cards from which on there is a map to jump by
const CARDS = 300; // of a long calculation the first and the last of these are shown

class Net {
  // told(node): the callbacks of its tiles
  constructor(page, view, told) {
    this.page = page;
    this.tiles = new Map();
    this.cards = new Map();
    const root = document.getElementById('net'), { nodes } = page, placed = new Set();
    const part = (card, k) => {
      placed.add(k);
      const node = nodes[k], box = make('div', undefined, 'part'), caption = make('div', undefined, 'caption');
      caption.append(make('b', node.name), ` ${node.shape.join('×') || 'one number'}`);
      if (!product(node.shape)) { card.append(caption); return; }
      const tiles = new Tiles(node, k, () => view.numbers(k), told(k)), scroll = make('div', undefined, 'scroll');
      scroll.append(tiles.canvas);
      box.append(caption, scroll);
      if (tiles.hidden > 0) box.append(make('div', `and ${tiles.hidden} pictures more`, 'note'));
      card.append(box);
      this.tiles.set(k, tiles);
    };
    const shown = k => ['parameter', 'input'].includes(nodes[k].role) && product(nodes[k].shape) > 1;
    const card = (k, title, what, parts) => {
      const box = make('article', undefined, 'card'), head = make('header');
      head.append(make('h3', title), make('span', what, 'what'));
      box.append(head);
      const row = make('div', undefined, 'parts');
      for (const p of parts) part(row, p);
      box.append(row);
      root.append(box);
      this.cards.set(k, box);
    };
    const made = nodes.map((_, k) => k).filter(k => nodes[k].role === 'line');
    const left = Math.max(0, made.length - CARDS);
    made.forEach((k, i) => {
      const node = nodes[k];
      if (left && i === CARDS / 2) root.append(make('p', `${left} lines more; autoconv.pick(name, index) explains them.`, 'note'));
      if (left && i >= CARDS / 2 && i < CARDS / 2 + left) return;
      const parts = node.reads.filter(r => shown(r) && !placed.has(r));
      const from = node.reads.map(r => nodes[r]).filter(r => r.role === 'line' || r.role === 'input').map(r => r.name);
      const what = [node.settings, from.length ? 'of ' + from.join(', ') : ''].filter(Boolean).join(' · ');
      card(k, node.call, what, [...parts, k]);
    });
    if (this.cards.size >= MAPPED) this.mapped();
  }

  // The cards by name, beside them.
  mapped() {
    const map = document.getElementById('map');
    for (const [k, box] of this.cards) {
      const jump = make('button', undefined, 'jump'), { call, shape } = this.page.nodes[k];
      jump.append(make('b', call), make('span', shape.join('×')));
      jump.addEventListener('click', () => box.scrollIntoView());
      map.append(jump);
    }
    map.hidden = false;
  }

  // Draw the tiles that can be seen; the others when they come into view.
  draw(state) {
    this.state = state;
    if (!this.watch) {
      this.seen = new Set();
      this.stale = new Set();
      this.watch = new IntersectionObserver(entries => entries.forEach(({ target, isIntersecting }) => {
        const k = Number(target.dataset.node);
        if (isIntersecting) { this.seen.add(k); if (this.stale.has(k)) this.one(k); } else this.seen.delete(k);
      }), { rootMargin: '100px' });
      for (const tiles of this.tiles.values()) this.watch.observe(tiles.canvas);
      for (const k of this.tiles.keys()) this.one(k);
      return;
    }
    for (const k of this.tiles.keys()) if (this.seen.has(k)) this.one(k); else this.stale.add(k);
  }
  one(k) {
    const { picked, masks } = this.state, tiles = this.tiles.get(k);
    tiles.draw(picked && picked.node === k ? picked.e : -1, masks.get(k));
    tiles.canvas.setAttribute('aria-label', tiles.told.label());
    this.stale.delete(k);
  }
  mark(changed, picked) {
    for (const [k, card] of this.cards) {
      card.classList.toggle('changed', changed.has(k));
      card.classList.toggle('picked', Boolean(picked) && picked.node === k);
    }
  }
}
