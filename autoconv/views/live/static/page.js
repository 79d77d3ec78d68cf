// The page: the engine here or in a worker, what it knows of each node, edits with undo, and the interface for others,
// window.autoconv: set(name, index, value), value(name), grad(name), on('change', f), names(), pick(name, index),
// explain(name, index, 'value' or 'grad'), undo(), redo(), reset(), train(steps), state(), load(state), ready.

const inWorker = typeof document === 'undefined';
let running = null; // the worker's engine

function work(event) { // in the worker: {id, what, given} -> {id, result} or {id, error}
  const { id, what, given } = event.data;
  try {
    if (what === 'start') {
      running = new Engine(given[0], unpacked(given[0].packed, given[0].arrays));
      postMessage({ id, result: null });
      return;
    }
    const told = (done, all) => postMessage({ progress: done / all });
    const result = what === 'run' ? running.run(told) : running[what](...given);
    // what is new are copies, which can be handed over without another
    const handed = what === 'news' ? result.flatMap(([, value, grad]) => [value, grad]).filter(Boolean).map(x => x.buffer) : [];
    postMessage({ id, result }, handed);
  } catch (error) { postMessage({ id, error: String(error.message || error) }); }
}
if (inWorker) onmessage = work;
const SOURCE = inWorker ? '' : document.currentScript.textContent;

class View {
  constructor(page) {
    Object.assign(this, { page, values: [], grads: [], before: [], first: [], masks: new Map(), reached: [], picked: null });
    Object.assign(this, { past: [], future: [], gesture: null, listeners: [], side: 'value', worker: null, waiting: new Map(), calls: 0 });
    if (page.heavy) this.startWorker();
    if (!this.worker) this.engine = new Engine(page, this.arrays);
  }
  get arrays() { return (this.unpacked ||= unpacked(this.page.packed, this.page.arrays)); }

  // ---- the engine, here or in a worker

  startWorker() {
    try {
      const url = URL.createObjectURL(new Blob([SOURCE], { type: 'text/javascript' }));
      this.worker = new Worker(url);
    } catch { return; } // where workers are not allowed, the page computes itself
    this.worker.onmessage = ({ data }) => {
      if (data.progress !== undefined) { this.busy(`computing, ${Math.round(data.progress * 100)} %`); return; }
      const { take, refuse } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) take(data.result); else refuse(new Error(data.error));
    };
    this.worker.onerror = () => {
      this.worker = null;
      for (const { refuse } of this.waiting.values()) refuse(new Error('the worker stopped'));
    };
    this.ask('start', this.page).catch(error => this.say(error.message));
  }
  // What the engine answers: at once where it is here, else a promise.
  ask(what, ...given) {
    if (!this.worker) return this.engine[what](...given);
    return new Promise((take, refuse) => {
      const id = ++this.calls;
      this.waiting.set(id, { take, refuse });
      this.worker.postMessage({ id, what, given });
    });
  }
  busy(text) { document.getElementById('busy').textContent = text; }
  say(text) { document.getElementById('said').textContent = text; }

  // Compute again, take over what has changed, and draw it.  Without a worker all of it happens at once.
  refresh() {
    if (!this.worker) {
      this.engine.run();
      this.take(this.engine.news());
      return Promise.resolve();
    }
    this.busy('computing');
    return (this.refreshing = (async () => {
      await this.ask('run');
      this.take(await this.ask('news'));
      this.busy('');
    })());
  }
  take(news) {
    for (const [k, value, grad] of news) {
      if (value) this.values[k] = value;
      if (grad) this.grads[k] = grad;
    }
    this.draw();
    for (const told of this.listeners) told();
  }

  // ---- edits

  whole(k) { return 'iub'.includes(this.page.nodes[k].dtype[0]); }
  most(k) { return largest(this.values[k]); }
  // Change an element (index null: all of them); more edits may follow until ``finish`` makes them one step of undo.
  edit(k, index, value, done) { this.change(k, index, value, done).catch(() => {}); } // what is wrong is said
  change(k, index, value, done) {
    this.remember();
    const list = index === null ? Array.from(value) : [value];
    const good = this.whole(k) ? list.map(Math.round) : list;
    const edit = [k, index, index === null ? good : good[0]], old = this.values[k];
    const wrong = this.refused(k, good);
    if (wrong) { this.say(wrong); return Promise.reject(new RangeError(wrong)); }
    this.say('');
    const turned = this.apply([edit], () => [[k, null, Array.from(old)]]);
    if (done) this.finish();
    return turned;
  }
  refused(k, list) {
    const node = this.page.nodes[k];
    if (!list.every(v => typeof v === 'number' && v === v)) return `${node.name} takes numbers`;
    return '';
  }
  apply(edits, back) {
    if (!this.worker) {
      try {
        this.engine.edit(edits);
        this.engine.run();
      } catch (error) { // an index out of range: as it was
        this.engine.edit(back());
        this.engine.run();
        this.say(error.message);
        this.take(this.engine.news());
        return Promise.reject(error);
      }
      this.take(this.engine.news());
      return Promise.resolve();
    }
    for (const [k, index, value] of edits) { // shown at once; what follows from them when it is computed
      const x = this.values[k] = this.values[k].slice();
      if (index === null) x.set(value); else x[x.length === 1 || this.page.inputs[this.page.nodes[k].input].count === 1 ? 0 : index] = value;
    }
    this.queue = [...(this.queue || []), ...edits];
    return (this.pending ||= (async () => {
      await this.refreshing;
      const all = this.queue;
      this.queue = [];
      this.pending = null;
      try {
        await this.ask('edit', all);
        await this.refresh();
      } catch (error) {
        await this.ask('edit', back());
        await this.refresh();
        this.say(error.message);
        throw error;
      }
    })());
  }
  inputs() { return this.page.nodes.map((node, k) => k).filter(k => this.page.nodes[k].input >= 0); }
  remember() { // the numbers before a gesture, for undo and for "what changed"
    if (this.gesture) return;
    this.gesture = new Map(this.inputs().map(k => [k, this.values[k]]));
    this.before = [...this.values];
  }
  finish() {
    if (!this.gesture) return;
    const changed = this.inputs().filter(k => this.gesture.get(k) !== this.values[k] && this.gesture.get(k).some((v, i) => v !== this.values[k][i]));
    if (changed.length) {
      this.past.push(changed.map(k => [k, this.gesture.get(k), this.values[k]]));
      if (this.past.length > 200) this.past.shift();
      this.future = [];
    }
    this.gesture = null;
    this.buttons();
  }
  step(from, to, side) {
    const last = from.pop();
    if (!last) return Promise.resolve();
    this.gesture = null;
    this.before = [...this.values];
    to.push(last);
    const done = this.apply(last.map(([k, old, now]) => [k, null, Array.from(side === 'undo' ? old : now)]), () => []);
    this.buttons();
    return done;
  }
  undo() { this.finish(); return this.step(this.past, this.future, 'undo'); }
  redo() { this.finish(); return this.step(this.future, this.past, 'redo'); }
  reset() {
    this.finish();
    this.remember();
    this.training.forget();
    const edits = this.inputs().map(k => [k, null, Array.from(this.first[k])]);
    if (this.page.train) this.ask('restart');
    const done = this.apply(edits, () => []);
    this.finish();
    return done;
  }
  buttons() {
    document.getElementById('undo').disabled = !this.past.length;
    document.getElementById('redo').disabled = !this.future.length;
  }

  // ---- what is shown

  numbers(k) { // of a node, on the side that is shown
    const value = this.values[k];
    if (this.side === 'grad') return this.grads[k] || new Float64Array(value.length);
    if (this.side === 'change') return this.before[k] ? Float64Array.from(value, (v, i) => v - this.before[k][i]) : new Float64Array(value.length);
    return value;
  }
  changed() {
    const found = new Set();
    this.page.nodes.forEach((_, k) => {
      const before = this.before[k], now = this.values[k];
      if (before && before !== now && before.some((v, i) => v !== now[i])) found.add(k);
    });
    return found;
  }
  pick(k, e) {
    this.picked = { node: k, e };
    if (this.page.nodes[k].role === 'line') this.light(k, e); else { this.masks = new Map(); this.reached = []; this.draw(); }
  }
  async light(k, e) { // the receptive field, back to the inputs
    const masks = await this.ask('reach', k, e);
    this.masks = new Map(masks.filter(([n]) => n !== k));
    this.reached = masks.filter(([n]) => n !== k && this.page.nodes[n].role === 'input').map(([n, mask]) => [n, mask.reduce((a, b) => a + b, 0)]);
    this.draw();
  }
  draw() {
    if (!this.net || this.drawing) return;
    this.drawing = true;
    const now = () => {
      this.drawing = false;
      const loss = this.page.nodes[this.page.loss];
      document.getElementById('loss').textContent = `${loss.name} = ${short(this.values[this.page.loss][0])}`;
      this.net.draw({ picked: this.picked, masks: this.masks });
      this.net.mark(this.changed(), this.picked);
      this.controls.draw();
      this.bars.draw();
      this.paper.follow();
      this.panel.show(this.picked);
    };
    if (document.hidden) now(); else requestAnimationFrame(now);
  }
}

// Numbers, targets and all that is single: a field and a slider for each.
class Controls {
  constructor(page, view) {
    this.view = view;
    this.fields = [];
    const root = document.getElementById('controls');
    page.nodes.forEach((node, k) => {
      if (node.input < 0 || node.role === 'parameter' || (node.role === 'input' && product(node.shape) > 1)) return;
      const count = Math.min(page.inputs[node.input].count, 12);
      for (let e = 0; e < count; e++) root.append(this.field(page, node, k, e, count));
    });
    if (!this.fields.length) root.hidden = true;
  }
  field(page, node, k, e, count) {
    const { view } = this, box = make('div', undefined, 'control'), name = count > 1 ? elementName(node, e) : node.name;
    const label = make('label', name, 'name'), number = make('input'), range = make('input');
    label.title = name;
    const v = view.values[k][e], whole = view.whole(k), most = Math.max(Math.abs(v) * 2, whole ? (page.classes || []).length - 1 || 9 : 2);
    Object.assign(number, { type: 'number', step: whole ? 1 : 'any', id: `number${k}-${e}` });
    label.htmlFor = number.id;
    if (node.settings) label.append(make('span', ` in ${node.settings}`, 'note'));
    Object.assign(range, { type: 'range', min: whole ? 0 : -most, max: most, step: whole ? 1 : most / 200 });
    range.setAttribute('aria-label', `slide ${name}`);
    const put = text => { const x = Number(text); if (text !== '' && isFinite(x)) view.edit(k, e, x, false); };
    for (const input of [number, range]) {
      input.addEventListener('input', () => put(input.value));
      input.addEventListener('change', () => view.finish());
    }
    label.addEventListener('click', () => view.pick(k, e));
    box.append(label, number, range);
    this.fields.push({ k, e, number, range });
    return box;
  }
  draw() {
    for (const { k, e, number, range } of this.fields) {
      const v = this.view.values[k][e];
      if (document.activeElement !== number) number.value = Number(v.toPrecision(7));
      if (document.activeElement !== range) range.value = v;
    }
  }
}

function start() { // all is done when it comes back, but for heavy nets: window.autoconv.ready is a promise
  const page = JSON.parse(document.getElementById('calculation').textContent);
  const view = new View(page);
  document.getElementById('title').textContent = page.title;
  if (page.report) { // what stands behind the page, in its place
    const turn = document.getElementById('turn'), report = document.getElementById('report'), main = document.querySelector('main');
    turn.textContent = page.report;
    turn.hidden = false;
    turn.addEventListener('click', () => {
      report.hidden = !report.hidden;
      main.hidden = !report.hidden;
      turn.textContent = report.hidden ? page.report : 'Back';
    });
  }
  const at = name => {
    const k = name === 'loss' && !page.nodes.some(node => node.name === 'loss') ? page.loss : page.nodes.findIndex(node => node.name === name);
    if (k < 0) throw new Error(`there is no ${name}; the names are ${page.nodes.map(node => node.name).join(', ')}`);
    return k;
  };
  const input = name => {
    const k = at(name);
    if (page.nodes[k].input < 0) throw new Error(`${name} is computed; what can be changed is ${view.inputs().map(i => page.nodes[i].name).join(', ')}`);
    return k;
  };
  const place = (k, index) => {
    if (index === null || index === undefined) return null;
    const { shape, name } = page.nodes[k], e = Array.isArray(index) ? dot(index, inOrder(shape)) : index;
    if (!Number.isInteger(e) || e < 0 || e >= product(shape)) throw new RangeError(`${name} has no element ${index}; its shape is ${shape.join('×')}`);
    return e;
  };
  window.autoconv = {
    set(name, index, value) { const k = input(name), e = place(k, index); return view.change(k, e, value, true); },
    value: name => Array.from(view.values[at(name)]),
    grad: name => { const g = view.grads[at(name)]; return g ? Array.from(g) : null; },
    on(what, told) {
      if (what !== 'change') throw new Error(`there is no event ${what}; the only one is 'change'`);
      view.listeners.push(told);
      return () => { view.listeners = view.listeners.filter(f => f !== told); };
    },
    names: () => page.nodes.map(node => node.name),
    undo: () => view.undo(), redo: () => view.redo(), reset: () => view.reset(),
    explain: async (name, index, side = 'value') => view.ask('explain', at(name), place(at(name), index), side),
    pick: (name, index) => view.pick(at(name), place(at(name), index)),
    train: async steps => { await view.training.run(steps); return view.training.losses.slice(-steps); },
    state: () => stateOf(page, view),
    load: state => load(state),
  };
  const load = state => {
    const edits = editsOf(page, state);
    view.remember();
    const old = view.inputs().map(k => [k, null, Array.from(view.values[k])]);
    const done = view.apply(edits, () => old);
    view.finish();
    return done;
  };
  const computed = view.refresh();
  window.autoconv.ready = view.worker ? computed.then(() => show(page, view, load)) : show(page, view, load);
}
function show(page, view, load) { // the page around the first numbers
  view.first = [...view.values];
  const told = k => ({
    hover: (node, e) => view.hover(node, e),
    pick: (node, e) => view.pick(node, e),
    picked: () => (view.picked && view.picked.node === k ? view.picked.e : -1),
    current: () => view.values[k],
    label: () => {
      const node = page.nodes[k], e = view.picked && view.picked.node === k ? view.picked.e : -1;
      return `${node.name}, ${node.shape.join(' by ')} numbers` + (e >= 0 ? `; ${elementName(node, e)} is ${short(view.values[k][view.values[k].length === 1 ? 0 : e])}` : '');
    },
    drag: page.nodes[k].input >= 0 ? (node, e, value, done) => { if (value !== null) view.edit(node, e, value, false); if (done) view.finish(); } : null,
  });
  view.hover = (k, e) => {
    const node = page.nodes[k], canvas = view.net.tiles.get(k).canvas;
    if (e < 0) { canvas.title = ''; return; }
    const v = view.values[k], g = view.grads[k], loss = page.nodes[page.loss].name;
    canvas.title = `${elementName(node, e)} = ${short(v[v.length === 1 ? 0 : e])}` + (g ? `\nd${loss}/d… = ${short(g[e])}` : '');
  };
  view.net = new Net(page, view, told);
  view.panel = new Panel(page, view);
  view.controls = new Controls(page, view);
  view.bars = new Bars(page, view);
  view.paper = new Paper(page, view);
  view.training = new Training(page, view);
  view.buttons();

  const on = (id, what) => document.getElementById(id).addEventListener('click', what);
  on('undo', () => view.undo());
  on('redo', () => view.redo());
  on('reset', () => view.reset());
  on('link', async () => {
    const text = toText(stateOf(page, view)), url = location.href.split('#')[0] + '#state=' + text;
    if (text.length > LONGEST) { view.say('Too many changes for a link; Save writes them into a file.'); return; }
    try { history.replaceState(null, '', '#state=' + text); } catch { /* in a notebook's frame there is no address to change */ }
    try { await navigator.clipboard.writeText(url); view.say('The link is copied.'); } catch { view.say(url); }
  });
  on('save', () => {
    const a = make('a'), url = URL.createObjectURL(new Blob([JSON.stringify(stateOf(page, view))], { type: 'application/json' }));
    Object.assign(a, { href: url, download: 'state.json' });
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  const file = document.getElementById('file');
  on('open', () => file.click());
  file.addEventListener('change', async () => {
    try { await load(JSON.parse(await file.files[0].text())); view.say('The changes of the file are made.'); } catch (error) { view.say(`Not opened: ${error.message}`); }
    file.value = '';
  });
  document.getElementById('side').addEventListener('change', event => { view.side = event.target.value; view.draw(); });
  document.addEventListener('keydown', event => {
    if (!(event.ctrlKey || event.metaKey) || event.target.matches('input[type=number]')) return;
    if (event.key === 'z' && !event.shiftKey) { view.undo(); event.preventDefault(); }
    if (event.key === 'y' || (event.key.toLowerCase() === 'z' && event.shiftKey)) { view.redo(); event.preventDefault(); }
  });
  matchMode(() => { view.draw(); view.training.draw(); });
  const fromLink = () => {
    const text = /^#state=(.+)$/.exec(location.hash);
    if (!text) return null;
    try { return load(fromText(text[1])).catch(() => {}); } catch (error) { view.say(`The link's changes cannot be made: ${error.message}`); return null; }
  };
  addEventListener('hashchange', fromLink);
  view.panel.show(null);
  const changed = fromLink(), done = () => { view.draw(); document.body.dataset.ready = 'yes'; };
  if (view.worker) return Promise.resolve(changed).then(done);
  return Promise.resolve(done());
}
if (!inWorker) start();
