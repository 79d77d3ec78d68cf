// The page: its parts put together, and the interface for others,
// window.autoconv: set(name, index, value), value(name), grad(name), on('change', f), names(), pick(name, index),
// explain(name, index, 'value' or 'grad'), undo(), redo(), reset(), train(steps), state(), load(state), ready.

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
  bridge(page, view);
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
