// What the page knows of each node, from the engine here or in a worker; edits, with undo; what is drawn when.

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
    if (this.picks) this.picks(k, e);
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
