// What was changed, as text: in a link, in a file, and back.  Text that comes from outside is believed only as far as it
// names inputs of this page and finite numbers for them.

function stateOf(page, view) { // {name: [[index, value], ...] or all values}
  const state = {};
  page.nodes.forEach((node, k) => {
    if (node.input < 0) return;
    const { count } = page.inputs[node.input], now = view.values[k].slice(0, count), first = view.first[k], changed = [];
    now.forEach((v, i) => { if (v !== first[i]) changed.push([i, v]); });
    if (changed.length) state[node.name] = changed.length * 2 > now.length && now.length > 4 ? { all: Array.from(now) } : changed;
  });
  return state;
}
function editsOf(page, state) { // the edits that make it, or an Error that says what is wrong with it
  if (typeof state !== 'object' || state === null || Array.isArray(state)) throw new Error('this is no state of a page');
  return Object.entries(state).flatMap(([name, changed]) => {
    const k = page.nodes.findIndex(node => node.name === name && node.input >= 0);
    if (k < 0) throw new Error(`this page has no input ${named(name)}`);
    const count = page.inputs[page.nodes[k].input].count, good = v => typeof v === 'number' && isFinite(v);
    if (changed && Array.isArray(changed.all)) {
      if (changed.all.length !== count || !changed.all.every(good)) throw new Error(`${named(name)} needs ${count} numbers`);
      return [[k, null, changed.all]];
    }
    if (!Array.isArray(changed)) throw new Error(`${named(name)} needs a list of [index, value]`);
    return changed.map(entry => {
      const [i, v] = Array.isArray(entry) ? entry : [];
      if (!Number.isInteger(i) || i < 0 || i >= count || !good(v)) throw new Error(`${named(name)} has ${count} numbers, and each is finite`);
      return [k, i, v];
    });
  });
}
const named = text => String(text).slice(0, 40);
const toText = state => btoa(encodeURIComponent(JSON.stringify(state))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const fromText = text => JSON.parse(decodeURIComponent(atob(text.replaceAll('-', '+').replaceAll('_', '/'))));
const LONGEST = 20000; // characters of a link
