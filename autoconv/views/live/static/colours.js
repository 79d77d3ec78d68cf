// Numbers as colours: from orange (negative) over a neutral zero to blue (positive), told apart by the colour-blind too.

let PALETTE = null, MONO = 'monospace';
function palette() {
  if (PALETTE) return PALETTE;
  const style = getComputedStyle(document.documentElement), context = document.createElement('canvas').getContext('2d');
  const rgb = name => {
    context.fillStyle = style.getPropertyValue(name).trim();
    const hex = context.fillStyle;
    return [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
  };
  PALETTE = {};
  MONO = style.getPropertyValue('--mono');
  for (const name of ['plus', 'minus', 'zero', 'ink', 'inverse', 'soft', 'line', 'lit', 'on', 'page', 'paper']) PALETTE[name] = rgb('--' + name);
  return PALETTE;
}
const css = ([r, g, b]) => `rgb(${Math.round(r)},${Math.round(g)},${Math.round(b)})`;
const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);
function shade(v, scale) {
  const p = palette();
  if (v !== v) return p.soft;
  return mix(p.zero, v < 0 ? p.minus : p.plus, scale ? Math.min(1, Math.abs(v) / scale) : 0);
}
function largest(values) { // the largest size of a finite number
  let most = 0;
  for (let i = 0; i < values.length; i++) { const a = Math.abs(values[i]); if (a > most && a < Infinity) most = a; }
  return most;
}
function matchMode(told) {
  const again = () => { PALETTE = null; told(); };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again);
  addEventListener('theme', again); // from the page around this one
}
