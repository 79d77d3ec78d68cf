// Marks what a reader writes: arithmetic is worked out, and what the number opens says whether it is right (sealed.py).

// ---- SHA-256 (FIPS 180-4) of bytes, as words; a page from a file has no other

const PRIMES = (() => {
  const found = [];
  for (let n = 2; found.length < 64; n++) if (found.every(p => n % p)) found.push(n);
  return found;
})();
const words = (root, count) => PRIMES.slice(0, count).map(p => ((p ** root % 1) * 2 ** 32) | 0);
const ROUND = words(1 / 3, 64), START = words(1 / 2, 8), W = new Int32Array(64);

function sha256(bytes) {
  const padded = new Uint8Array((bytes.length + 72) & ~63), view = new DataView(padded.buffer), h = START.slice();
  padded.set(bytes);
  padded[bytes.length] = 128;
  view.setUint32(padded.length - 4, bytes.length * 8);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i++) W[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const a = W[i - 15], b = W[i - 2];
      W[i] = (W[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + W[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10))) | 0;
    }
    let [a, b, c, d, e, f, g, k] = h;
    for (let i = 0; i < 64; i++) {
      const one = (k + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[i] + W[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [k, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, k].forEach((x, i) => { h[i] = (h[i] + x) | 0; });
  }
  const out = new DataView(new ArrayBuffer(32));
  h.forEach((x, i) => out.setInt32(4 * i, x));
  return new Uint8Array(out.buffer);
}

// ---- what was written, as a number, and how much its last digit leaves open

function read(text) {
  text = text.trim().replaceAll('−', '-');
  if (!text) return null;
  if (text.length > 400) throw Error('this is too long for an answer');
  const decimals = /^[+-]?(?:\d+\.(\d*)|\.(\d+))$/.exec(text);
  if (decimals) return [finite(Number(text)), 0.505 * 10 ** -(decimals[1] ?? decimals[2]).length];
  return [finite(worked(text)), 0];
}
function finite(x) {
  if (!Number.isFinite(x)) throw Error('an answer must be a finite number');
  return x;
}
function worked(text) { // numbers, + - * / // % **, brackets, a few functions
  const pieces = text.match(/\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[a-z]+|\*\*|\/\/|\S/g);
  const functions = { sqrt: Math.sqrt, exp: Math.exp, log: Math.log, abs: Math.abs, tanh: Math.tanh };
  const wrong = () => Error(`"${(pieces[at] ?? 'the end').slice(0, 12)}" cannot be read here; write a number, a fraction as 3/2, or arithmetic as 2*(9 - 1)`);
  let at = 0;
  const is = sign => pieces[at] === sign && ++at;
  const sum = () => {
    let x = product();
    for (;;) if (is('+')) x += product(); else if (is('-')) x -= product(); else return x;
  };
  const product = () => {
    let x = signed();
    for (;;) {
      if (is('*')) x *= signed();
      else if (is('/')) x /= signed();
      else if (is('//')) x = Math.floor(x / signed());
      else if (is('%')) { const y = signed(); x -= Math.floor(x / y) * y; }
      else return x;
    }
  };
  const signed = () => is('-') ? -signed() : is('+') ? signed() : power();
  const power = () => { const x = atom(); return is('**') ? x ** signed() : x; };
  const atom = () => {
    const piece = pieces[at];
    if (/^[\d.]/.test(piece ?? '') && Number.isFinite(Number(piece))) { at++; return Number(piece); }
    const f = Object.hasOwn(functions, piece) ? functions[pieces[at++]] : x => x;
    if (!is('(')) throw wrong();
    const x = sum();
    if (!is(')')) throw wrong();
    return f(x);
  };
  const x = sum();
  if (at < pieces.length) throw wrong();
  return x;
}

// ---- what the number opens

const KEY = JSON.parse(document.getElementById('key').textContent);
const bytesOf = text => new TextEncoder().encode(text);

function near(value) { // the bucket of a number, and its neighbours
  if (!value) return ['0'];
  const at = Math.floor(KEY.fineness * Math.log(Math.abs(value)));
  return [0, -1, 1].map(k => (value < 0 ? '-' : '+') + (at + k));
}
function opened(blank, value) { // [number, what may differ, which remark] of all that this number opens, in order
  const locked = Uint8Array.from(atob(KEY.blanks[blank - 1]), c => c.charCodeAt(0)), found = [];
  for (const bucket of near(value)) {
    let key = bytesOf(`${KEY.salt}|${blank}|${bucket}`);
    for (let k = 0; k < KEY.rounds; k++) key = sha256(key);
    for (let j = 0; 24 * j < locked.length; j++) {
      const pad = sha256([...key, j & 255, j >> 8]), entry = locked.slice(24 * j, 24 * j + 24).map((x, k) => x ^ pad[k]);
      if (entry.subarray(17).some(x => x)) continue;
      const view = new DataView(entry.buffer);
      found.push([j, view.getFloat64(0, true), view.getFloat64(8, true), entry[16]]);
    }
  }
  return found.sort((a, b) => a[0] - b[0]).map(([, ...rest]) => rest);
}
function mark(blank, text) { // [kind, remark]
  let given;
  try { given = read(text); } catch (error) { return ['unreadable', error.message]; }
  if (!given) return ['missing', ''];
  const [value, slack] = given;
  for (const [number, differs, remark] of opened(blank, value)) {
    const may = Math.max(differs, slack <= 0.02 * Math.abs(number) ? slack : 0);
    if (Math.abs(value - number) <= may) return remark ? ['wrong', KEY.nudges[remark - 1]] : ['right', ''];
  }
  return ['wrong', 'Work it out again, one factor at a time.'];
}

const SIGNS = { right: '✓ right', wrong: '✗ not right', missing: '', unreadable: '? not read' };
function show(field) {
  const [kind, remark] = mark(Number(field.dataset.blank), field.value), told = document.getElementById(field.getAttribute('aria-describedby'));
  field.setAttribute('aria-invalid', kind === 'wrong' || kind === 'unreadable');
  told.className = kind;
  told.textContent = [SIGNS[kind], remark].filter(Boolean).join(': ');
  return kind;
}
const fields = [...document.querySelectorAll('input[data-blank]')];
for (const field of fields) {
  field.addEventListener('input', () => { // what was said is said of something else
    field.removeAttribute('aria-invalid');
    document.getElementById(field.getAttribute('aria-describedby')).textContent = document.getElementById('marks').textContent = '';
  });
  field.addEventListener('keydown', event => { if (event.key === 'Enter') show(field); });
}
document.getElementById('mark').addEventListener('click', () => {
  const kinds = fields.map(show), count = kind => kinds.filter(k => k === kind).length;
  const missing = count('missing') ? `, ${count('missing')} missing` : '';
  document.getElementById('marks').textContent = `${count('right')} of ${fields.length} right${missing}.`;
});
