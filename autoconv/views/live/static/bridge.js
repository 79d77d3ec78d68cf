// What a notebook's widget says to the page and hears from it.  The page says nothing before it was greeted, and hears
// only the page around it: {autoconv: 'hello'}, {autoconv: 'told', state, picked, losses}.

const EACH = 100; // milliseconds between two reports of a gesture

function bridge(page, view) {
  if (parent === window) return;
  let greeted = false, quiet = 0, waiting = null;
  const say = message => parent.postMessage(message, '*');
  const report = () => {
    waiting = null;
    say({ autoconv: 'changed', state: stateOf(page, view) });
    if (view.picked) view.picks(view.picked.node, view.picked.e); // its numbers are others now
  };
  view.listeners.push(() => { if (greeted && !quiet && !waiting) waiting = setTimeout(report, EACH); });
  view.picks = (k, e) => {
    if (!greeted || quiet) return;
    const node = page.nodes[k], value = view.values[k], grad = view.grads[k];
    say({ autoconv: 'picked', picked: { name: node.name, index: places(e, node.shape), value: value[value.length === 1 ? 0 : e], grad: grad ? grad[e] : null } });
  };
  // All inputs as the state says, those that it does not name as the page was made.
  const become = async state => {
    const edits = new Map(view.inputs().map(k => [k, Array.from(view.first[k].slice(0, page.inputs[page.nodes[k].input].count))]));
    for (const [k, index, value] of editsOf(page, unpackedState(state))) {
      if (index === null) edits.set(k, value); else edits.get(k)[index] = value;
    }
    const list = [...edits].map(([k, all]) => [k, null, all]).filter(([k, , all]) => all.some((v, i) => v !== view.values[k][i]));
    if (!list.length) return;
    const old = list.map(([k, , all]) => [k, null, Array.from(view.values[k].slice(0, all.length))]);
    view.finish(); // what comes from Python is no gesture of the reader: it is not undone here
    view.before = [...view.values];
    await view.apply(list, () => old);
  };
  const told = async ({ state, picked, losses }) => {
    quiet++;
    try {
      if (state) await become(state);
      if (losses) view.training.follow(losses);
      const k = picked ? page.nodes.findIndex(node => node.name === picked.name) : -1;
      if (k >= 0) view.pick(k, dot(picked.index, inOrder(page.nodes[k].shape)));
    } catch (error) { view.say(`Not changed: ${error.message}`); } finally { quiet--; }
  };
  let last = Promise.resolve();
  addEventListener('message', ({ source, data }) => {
    if (source !== parent || !data) return;
    if (data.autoconv === 'hello') { greeted = true; say({ autoconv: 'ready' }); }
    if (data.autoconv === 'told') last = last.then(() => told(data));
  });
}
function places(e, shape) { // the index of a flat one
  const index = [];
  for (let k = shape.length - 1; k >= 0; k--) { index.unshift(e % shape[k]); e = Math.floor(e / shape[k]); }
  return index;
}
function unpackedState(state) { // {name: {f4 or f8: base64}} as {name: {all}}
  return Object.fromEntries(Object.entries(state).map(([name, changed]) => {
    const kind = changed && (typeof changed.f4 === 'string' ? 'f4' : typeof changed.f8 === 'string' ? 'f8' : '');
    if (!kind) return [name, changed];
    const bytes = Uint8Array.from(atob(changed[kind]), c => c.charCodeAt(0));
    return [name, { all: Array.from(kind === 'f4' ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer)) }];
  }));
}
