// Convolution and pooling: windows over grids, from the geometry in the trace (see gridpicture.py).

const PLANE = [1, 2]; // rows and columns; dimension 0 is the depth, shown one slice at a time
const range = (n) => Array.from({ length: n }, (_, i) => i);

function drawPicture(trace, about, backward, holder) {
  const conv = about.kind === "conv";
  const load = (part, what) => {
    const array = part && part[what] >= 0 ? trace.arrays[part[what]] : null;
    return array && array.list ? { shape: array.shape, data: array.list.map(amount) } : array; // whole numbers, fractions
  };
  const x = load(about.input, "value"), w = load(about.kernel, "value"), y = load(about.output, "value");
  const dx = load(about.input, "grad"), dw = load(about.kernel, "grad"), dy = load(about.output, "grad");
  const winners = about.winners === undefined ? null : trace.arrays[about.winners].data;
  const counts = about.counts === undefined ? null : trace.arrays[about.counts].data;
  const { window: K, stride: S, dilation: D, cells, read, weight, made } = about;
  const P = made.space.map(([n]) => n), reach = K.map((k, d) => (k - 1) * D[d]);
  const at = { n: 0, g: 0, o: 0, c: 0, z: 0, t: 0 };
  let figures = {}, order = [], focus = null, current = -1;

  const q = (p, u, d) => p * S[d] + u * D[d];
  const readIndex = (Q, c = at.c) => {
    let flat = at.n * read.n[1] + (conv ? at.g * read.g[1] : 0) + c * read.c[1];
    for (let d = 0; d < 3; d++) {
      if (cells[d][Q[d]] < 0) return -1;
      flat += cells[d][Q[d]] * read.space[d][1];
    }
    return flat;
  };
  const weightIndex = (U, c = at.c, o = at.o) => weight.base + c * weight.c[1] + at.g * weight.g[1] + o * weight.o[1]
    + U.reduce((sum, u, d) => sum + u * weight.space[d][1], 0);
  const madeIndex = (p, o = at.o) => at.n * made.n[1] + (conv ? at.g * made.g[1] + o * made.o[1] : at.c * made.c[1])
    + p.reduce((sum, i, d) => sum + i * made.space[d][1], 0);
  const taps = () => range(K[0]).flatMap((t) => range(K[1]).flatMap((u) => range(K[2]).map((v) => [t, u, v])));
  const places = () => range(P[0]).flatMap((z) => range(P[1]).flatMap((i) => range(P[2]).map((j) => [z, i, j])));
  const valueOf = (array, index) => index < 0 ? 0 : array.data[index];
  const missing = [x, w, y, dx, dw, dy].some((array) => array && !array.data);

  // ---- grids: [role, title, array, rows, columns, cell(r, c)]

  const depth = () => q(at.z, at.t, 0);
  const sizes = (array) => array.shape.length ? `(${array.shape.join(", ")})` : "";
  function grid(role, title, array, rows, columns, cell) {
    const scale = array.scale || (array.scale = scaleOf(array.data));
    const made = gridFigure(range(rows).map((r) => range(columns).map((c) => cell(r, c))), { role, title, shape: sizes(array), scale });
    figures[role] = made;
    return made;
  }
  const inputGrid = (role, title, array) => grid(role, title, array, cells[1].length, cells[2].length, (r, c) => {
    const index = readIndex([depth(), r, c]);
    return index < 0 ? { padding: true, value: 0 } : { value: array.data[index], index, where: `[${cells[1][r]}, ${cells[2][c]}]` };
  });
  const kernelGrid = (role, title, array, turned) => grid(role, title, array, K[1], K[2], (r, c) => {
    const U = turned ? [K[0] - 1 - at.t, K[1] - 1 - r, K[2] - 1 - c] : [at.t, r, c], index = weightIndex(U);
    return { value: array.data[index], index, where: `[${U.slice(1)}]`, colour: about.colours && about.colours[index] };
  });
  const outputGrid = (role, title, array) => grid(role, title, array, P[1], P[2], (r, c) => {
    const index = madeIndex([at.z, r, c]);
    return { value: array.data[index], index, where: `[${r}, ${c}]` };
  });
  // delta with zeros between (stride) and around (kernel - 1): what the rotated kernel slides over
  const spread = (Q, d) => { const p = (Q - reach[d]) / S[d]; return Number.isInteger(p) && p >= 0 && p < P[d] ? p : -1; };
  const deltaAt = (Q) => { const p = Q.map((i, d) => spread(i, d)); return p.some((i) => i < 0) ? null : p; };
  const spreadGrid = () => grid("delta", `gradient of ${about.output.name}, zeros between and around`, dy,
    cells[1].length + reach[1], cells[2].length + reach[2], (r, c) => {
      const p = deltaAt([at.z * S[0] + reach[0], r, c]);
      return p ? { value: dy.data[madeIndex(p)], index: madeIndex(p), where: `[${p.slice(1)}]` } : { padding: true, value: 0 };
    });

  // ---- what is lit, and the sums

  function light(lit, pins = {}) {
    for (const [role, figure] of Object.entries(figures)) {
      const on = lit[role] || new Set(), pin = pins[role] || new Set();
      for (const [key, part] of figure.cells) {
        part.classList.toggle("lit", on.has(key));
        part.classList.toggle("pin", pin.has(key));
      }
    }
  }
  const keys = (list) => new Set(list.map(([r, c]) => `${r},${c}`));
  const all = (rows, columns) => keys(range(rows).flatMap((r) => range(columns).map((c) => [r, c])));
  const box = () => range(K[1]).flatMap((u) => range(K[2]).map((v) => [u, v]));

  function sum(parts, total, heading) {
    let so = 0;
    const rows = parts.slice(0, 200).map(([a, b, note]) => { so += a * b; return `${short(a)} × ${short(b)} = ${short(a * b + 0)}   sum ${short(so + 0)}${note || ""}`; });
    if (parts.length > 200) rows.push(`… ${parts.length - 200} more terms`);
    terms.replaceChildren(element("div", {}, element("b", {}, total)), element("div", { class: "soft" }, heading), ...rows.map((row) => element("div", {}, row)));
    terms.scrollTop = 0;
  }
  function say(text) { terms.replaceChildren(element("div", {}, text)); }

  function overOutput(r, c) {
    const p = [at.z, r, c], value = y.data[madeIndex(p)];
    const window = box().map(([u, v]) => [q(r, u, 1), q(c, v, 2)]);
    const lit = { input: keys(window), output: keys([[r, c]]), kernel: all(K[1], K[2]) };
    if (conv) {
      light(lit);
      const parts = taps().map((U) => [valueOf(x, readIndex(U.map((u, d) => q(p[d], u, d)))), w.data[weightIndex(U)]]);
      const whole = range(read.c[0]).reduce((s, ch) => s + taps().reduce((t, U) => t + valueOf(x, readIndex(U.map((u, d) => q(p[d], u, d)), ch)) * w.data[weightIndex(U, ch)], 0), 0);
      const channels = read.c[0] > 1 ? `all ${read.c[0]} channels: ${short(whole)};   ` : "";
      const rest = Math.abs(value - whole) > 1e-3 * (Math.abs(value) + Math.abs(whole)) ? `   (with the bias ${short(value - whole)})` : "";
      sum(parts, `${channels}${about.output.name}[${r}, ${c}] = ${short(value)}${rest}`, read.c[0] > 1 ? `the terms of input channel ${at.c}` : "the dot product");
      return;
    }
    const read_ = taps().map((U) => valueOf(x, readIndex(U.map((u, d) => q(p[d], u, d)))));
    if (winners) {
      const won = taps()[winners[madeIndex(p)]];
      light(lit, { input: won[0] === at.t ? keys([[q(r, won[1], 1), q(c, won[2], 2)]]) : new Set() });
      say(`max(${read_.map(short).join(", ")}) = ${short(value)}   the winner is number ${winners[madeIndex(p)] + 1}`);
    } else {
      light(lit);
      const count = counts ? counts[madeIndex(p)] : 0;
      say(count ? `(${read_.map(short).join(" + ")}) / ${short(count)} = ${short(value)}` : `of ${read_.map(short).join(", ")}: ${short(value)}`);
    }
  }
  function overWeight(r, c) {
    const spots = range(P[1]).flatMap((i) => range(P[2]).map((j) => [q(i, r, 1), q(j, c, 2)]));
    light({ kernel: keys([[r, c]]), "kernel gradient": keys([[r, c]]), input: keys(spots), output: all(P[1], P[2]), "output gradient": all(P[1], P[2]) });
    const U = [at.t, r, c], use = `weight [${r}, ${c}] is used at ${P[0] * P[1] * P[2]} positions`;
    if (!backward || !dw) { say(use); return; }
    const parts = places().map((p) => [valueOf(x, readIndex(p.map((i, d) => q(i, U[d], d)))), dy.data[madeIndex(p)], `   at [${p.slice(1)}]`]);
    const images = read.n[0] > 1 ? ` (all ${read.n[0]} images)` : "";
    sum(parts, `gradient of ${about.kernel.name}[${r}, ${c}] = ${short(dw.data[weightIndex(U)])}${images}`, `${use}: input × gradient`);
  }
  function overInput(r, c) {
    const fed = [], by = [];
    for (const [u, v] of box()) {
      const i = (r - u * D[1]) / S[1], j = (c - v * D[2]) / S[2];
      if (Number.isInteger(i) && Number.isInteger(j) && i >= 0 && j >= 0 && i < P[1] && j < P[2]) { fed.push([i, j]); by.push([u, v]); }
    }
    light({ input: keys([[r, c]]), output: keys(fed), "output gradient": keys(fed), kernel: keys(by) });
    say(`this cell feeds ${fed.length} output${fed.length === 1 ? "" : "s"}${conv ? `: ${by.map(([u, v], k) => `[${fed[k]}] through weight [${u}, ${v}]`).join(", ")}` : ""}`);
  }
  function overGradient(r, c) {
    const Q = [depth(), r, c];
    const window = box().map(([u, v]) => [r + u * D[1], c + v * D[2]]);
    light({ "input gradient": keys([[r, c]]), delta: keys(window), rotated: all(K[1], K[2]) });
    const index = readIndex(Q);
    if (index < 0) { say("padding: what arrives here is dropped"); return; }
    const parts = (o) => taps().map((V) => {
      const p = deltaAt(V.map((v, d) => Q[d] + v * D[d]));
      return [p ? dy.data[madeIndex(p, o)] : 0, w.data[weightIndex(V.map((v, d) => K[d] - 1 - v), at.c, o)]];
    });
    const more = made.o[0] > 1 ? `all ${made.o[0]} kernels: ` : "";
    sum(parts(at.o), `${more}gradient of ${about.input.name}[${cells[1][r]}, ${cells[2][c]}] = ${short(dx.data[index])}`,
      made.o[0] > 1 ? `the terms of kernel ${at.o}` : "gradient × rotated kernel");
  }
  function overDelta(r, c) {
    const reached = box().map(([u, v]) => [r - u * D[1], c - v * D[2]]).filter(([i, j]) => i >= 0 && j >= 0 && i < cells[1].length && j < cells[2].length);
    light({ delta: keys([[r, c]]), "input gradient": keys(reached), rotated: all(K[1], K[2]) });
    say("this gradient reaches the cells that its window read");
  }
  function overPooled(r, c) {
    const p = [at.z, r, c], g = dy.data[madeIndex(p)];
    const window = box().map(([u, v]) => [q(r, u, 1), q(c, v, 2)]);
    const lit = { "output gradient": keys([[r, c]]), input: keys(window), "input gradient": keys(window) };
    if (winners) {
      const won = taps()[winners[madeIndex(p)]], spot = keys([[q(r, won[1], 1), q(c, won[2], 2)]]);
      light(lit, { input: spot, "input gradient": spot });
      say(`all of ${short(g)} goes to the winning cell, number ${winners[madeIndex(p)] + 1} of its window`);
    } else {
      light(lit);
      const count = counts ? counts[madeIndex(p)] : 0;
      say(count ? `each cell of the window receives ${short(g)} / ${short(count)} = ${short(g / count)}` : `${short(g)} is shared by the window`);
    }
  }

  // ---- putting it together

  const terms = element("div", { class: "terms" });
  function hover(role, react) {
    const figure = figures[role];
    if (!figure) return;
    for (const [key, part] of figure.cells) {
      const [r, c] = key.split(",").map(Number);
      const act = () => { focus = [react, r, c]; current = order.findIndex(([f, a, b]) => f === react && a === r && b === c); react(r, c); };
      part.addEventListener("pointerenter", act);
      part.addEventListener("click", act);
    }
  }
  const picks = [
    ["image", read.n[0], "n"], ["group", conv ? read.g[0] : 1, "g"], ["input channel", read.c[0], "c"],
    [about.kernel ? "kernel" : "channel", conv ? made.o[0] : 1, "o"], ["depth", P[0], "z"], ["tap depth", K[0], "t"],
  ].filter(([, n]) => n > 1);

  function draw() {
    figures = {};
    holder.className = conv ? "" : "pooling";
    const rows = [];
    const title = { conv: "convolution", max_pool: "max pooling", avg_pool: "average pooling", lp_pool: "norm pooling" }[about.kind];
    const extra = [S.some((s) => s > 1) ? `stride ${S.slice(1)}` : "", D.some((d) => d > 1) ? `dilation ${D.slice(1)}` : ""].filter(Boolean).join(", ");
    const choose = element("div", { class: "pick" }, ...picks.map(([name, n, key]) => picker(name, n, at[key], (value) => { at[key] = value; draw(); })));
    if (missing) { holder.replaceChildren(element("p", { class: "soft" }, `${title}: too large for this page`)); return; }
    if (!backward) {
      rows.push([inputGrid("input", about.input.name, x), ...(conv ? [kernelGrid("kernel", about.kernel.name, w)] : []), outputGrid("output", about.output.name, y)]);
      hover("output", overOutput); hover("kernel", overWeight); hover("input", overInput);
      order = range(P[1]).flatMap((r) => range(P[2]).map((c) => [overOutput, r, c]));
    } else if (conv && dy) {
      if (dx) rows.push([spreadGrid(), kernelGrid("rotated", `${about.kernel.name}, rotated by 180°`, w, true), inputGrid("input gradient", `gradient of ${about.input.name}`, dx)]);
      if (dw) rows.push([inputGrid("input", about.input.name, x), outputGrid("output gradient", `gradient of ${about.output.name}`, dy), kernelGrid("kernel gradient", `gradient of ${about.kernel.name}`, dw)]);
      hover("input gradient", overGradient); hover("delta", overDelta); hover("kernel gradient", overWeight); hover("input", overInput);
      const inner = range(cells[1].length).flatMap((r) => range(cells[2].length).map((c) => [overGradient, r, c])).filter(([, r, c]) => readIndex([depth(), r, c]) >= 0);
      order = [...(dx ? inner : []), ...(dw ? box().map(([u, v]) => [overWeight, u, v]) : [])];
    } else if (dy) {
      rows.push([outputGrid("output gradient", `gradient of ${about.output.name}`, dy), inputGrid("input", about.input.name, x), ...(dx ? [inputGrid("input gradient", `gradient of ${about.input.name}`, dx)] : [])]);
      hover("output gradient", overPooled);
      order = range(P[1]).flatMap((r) => range(P[2]).map((c) => [overPooled, r, c]));
    }
    const step = (by, words) => { const made = element("button", { title: words }, by < 0 ? "◀ cell" : "cell ▶"); made.addEventListener("click", () => move(by)); return made; };
    choose.append(step(-1, "previous cell (Shift + ←)"), step(1, "next cell (Shift + →)"), element("span", { class: "soft" }, "or point at a cell"));
    holder.replaceChildren(element("h2", {}, [title + (backward ? ", backward" : ""), extra].filter(Boolean).join(": ")), choose, terms, ...rows.map((row) => element("div", { class: "row" }, ...row)));
    if (focus) focus[0](focus[1], focus[2]);
    else if (order.length) move(1);
  }
  function move(by) {
    if (!order.length) return;
    current = (current + by + order.length) % order.length;
    focus = order[current];
    focus[0](focus[1], focus[2]);
  }
  draw();
  return { about, backward, move };
}
