// Convolution and pooling: a window slides over grids, from the geometry in the trace (see window_geometry.py).
// Rows and columns are dimensions 1 and 2; dimension 0 is the depth, shown one slice at a time.

// terms: where the numbers of what is pointed at are written; told.changed(): another channel or kernel is shown.
function drawPicture(trace, about, backward, holder, terms, told = {}) {
  const conv = about.kind === "conv";
  const load = (part, what) => {
    const array = part && part[what] >= 0 ? trace.arrays[part[what]] : null;
    if (!array || !array.list) return array;
    const data = array.list.map(amount); // whole numbers, fractions
    return { ...array, data, get: (i) => data[i], near: (i) => data[i] };
  };
  const x = load(about.input, "value"), w = load(about.kernel, "value"), y = load(about.output, "value");
  const dx = load(about.input, "grad"), dw = load(about.kernel, "grad"), dy = load(about.output, "grad");
  const winners = about.winners === undefined ? null : trace.arrays[about.winners];
  const counts = about.counts === undefined ? null : trace.arrays[about.counts];
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
  const valueOf = (array, index) => index < 0 ? 0 : array.get(index);

  // ---- grids: [role, title, array, rows, columns, cell(r, c)]

  const depth = () => q(at.z, at.t, 0);
  const sizes = (array) => array.shape.length ? `(${array.shape.join(", ")})` : "";
  function grid(role, title, array, rows, columns, cell) {
    const scale = scaleOf(array);
    const made = gridFigure(range(rows).map((r) => range(columns).map((c) => cell(r, c))), { role, title, shape: sizes(array), scale, zoom: told.zoom, room: told.room });
    figures[role] = made;
    return made;
  }
  const inputGrid = (role, title, array) => grid(role, title, array, cells[1].length, cells[2].length, (r, c) => {
    const index = readIndex([depth(), r, c]);
    if (index < 0) return { padding: true, value: 0 };
    const near = array.near(index), grey = array.picture && near !== undefined ? imageColour(array, index, true) : undefined;
    return { value: array.get(index), near, index, where: `[${cells[1][r]}, ${cells[2][c]}]`, ...(grey ? { grey } : {}) };
  });
  const kernelGrid = (role, title, array, turned) => grid(role, title, array, K[1], K[2], (r, c) => {
    const U = turned ? [K[0] - 1 - at.t, K[1] - 1 - r, K[2] - 1 - c] : [at.t, r, c], index = weightIndex(U);
    return { value: array.get(index), index, where: `[${U.slice(1)}]`, colour: about.colours && about.colours[index] };
  });
  const outputGrid = (role, title, array) => grid(role, title, array, P[1], P[2], (r, c) => {
    const index = madeIndex([at.z, r, c]);
    return { value: array.get(index), near: array.near(index), index, where: `[${r}, ${c}]` };
  });
  // delta with zeros between (stride) and around (kernel - 1): what the rotated kernel slides over
  const spread = (Q, d) => { const p = (Q - reach[d]) / S[d]; return Number.isInteger(p) && p >= 0 && p < P[d] ? p : -1; };
  const deltaAt = (Q) => { const p = Q.map((i, d) => spread(i, d)); return p.some((i) => i < 0) ? null : p; };
  const spreadGrid = () => grid("delta", `gradient of ${about.output.name}, zeros between and around`, dy,
    cells[1].length + reach[1], cells[2].length + reach[2], (r, c) => {
      const p = deltaAt([at.z * S[0] + reach[0], r, c]);
      return p ? { value: dy.get(madeIndex(p)), index: madeIndex(p), where: `[${p.slice(1)}]` } : { padding: true, value: 0 };
    });

  // ---- what is lit, and the sums

  function light(lit, pins = {}) {
    for (const [role, figure] of Object.entries(figures)) figure.light(lit[role] || new Set(), pins[role] || new Set());
  }
  const keys = (list) => new Set(list.map(([r, c]) => `${r},${c}`));
  const all = (rows, columns) => keys(range(rows).flatMap((r) => range(columns).map((c) => [r, c])));
  const box = () => range(K[1]).flatMap((u) => range(K[2]).map((v) => [u, v]));

  function sum(parts, total, heading) {
    let so = 0;
    const rows = parts.slice(0, 200).map(([a, b, note]) => { if (a !== undefined && b !== undefined) so += a * b; return `${short(a)} × ${short(b)} = ${a === undefined || b === undefined ? "?" : short(a * b + 0)}   sum ${short(so + 0)}${note || ""}`; });
    if (parts.length > 200) rows.push(`… ${parts.length - 200} more terms`);
    terms.replaceChildren(element("div", {}, element("b", {}, total)), element("div", { class: "soft" }, heading), ...rows.map((row) => element("div", {}, row)));
    terms.scrollTop = 0;
  }
  function say(text) { terms.replaceChildren(element("div", {}, element("b", {}, text))); }

  function overOutput(r, c) {
    const p = [at.z, r, c], value = y.get(madeIndex(p));
    const window = box().map(([u, v]) => [q(r, u, 1), q(c, v, 2)]);
    const lit = { input: keys(window), output: keys([[r, c]]), kernel: all(K[1], K[2]) };
    if (conv) {
      light(lit);
      const parts = taps().map((U) => [valueOf(x, readIndex(U.map((u, d) => q(p[d], u, d)))), w.get(weightIndex(U))]);
      const whole = range(read.c[0]).reduce((s, ch) => s + taps().reduce((t, U) => t + valueOf(x, readIndex(U.map((u, d) => q(p[d], u, d)), ch)) * w.get(weightIndex(U, ch)), 0), 0);
      const channels = read.c[0] > 1 && Number.isFinite(whole) ? `all ${read.c[0]} channels: ${short(whole)}; ` : "";
      const rest = Math.abs(value - whole) > 1e-3 * (Math.abs(value) + Math.abs(whole)) ? `   (with the bias ${short(value - whole)})` : "";
      sum(parts, `${about.output.name}[${r}, ${c}] = ${short(value)}${rest}`, read.c[0] > 1 ? `${channels}the terms of input channel ${at.c}` : "the dot product");
      return;
    }
    if (value === undefined) { light(lit); say("not in this page"); return; }
    const read_ = taps().map((U) => valueOf(x, readIndex(U.map((u, d) => q(p[d], u, d)))));
    if (winners) {
      const won = taps()[winners.get(madeIndex(p))];
      light(lit, { input: won[0] === at.t ? keys([[q(r, won[1], 1), q(c, won[2], 2)]]) : new Set() });
      say(`max(${read_.map(short).join(", ")}) = ${short(value)}   the winner is number ${winners.get(madeIndex(p)) + 1}`);
    } else {
      light(lit);
      const count = counts ? counts.get(madeIndex(p)) : 0;
      say(count ? `(${read_.map(short).join(" + ")}) / ${short(count)} = ${short(value)}` : `of ${read_.map(short).join(", ")}: ${short(value)}`);
    }
  }
  function overWeight(r, c) {
    const spots = range(P[1]).flatMap((i) => range(P[2]).map((j) => [q(i, r, 1), q(j, c, 2)]));
    light({ kernel: keys([[r, c]]), "kernel gradient": keys([[r, c]]), input: keys(spots), output: all(P[1], P[2]), "output gradient": all(P[1], P[2]) });
    const U = [at.t, r, c], use = `weight [${r}, ${c}] is used at ${P[0] * P[1] * P[2]} positions`;
    if (!backward || !dw) { say(use); return; }
    const parts = places().map((p) => [valueOf(x, readIndex(p.map((i, d) => q(i, U[d], d)))), dy.get(madeIndex(p)), `   at [${p.slice(1)}]`]);
    const images = read.n[0] > 1 ? ` (all ${read.n[0]} images)` : "";
    sum(parts, `gradient of ${about.kernel.name}[${r}, ${c}] = ${short(dw.get(weightIndex(U)))}${images}`, `${use}: input × gradient`);
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
      return [p ? dy.get(madeIndex(p, o)) : 0, w.get(weightIndex(V.map((v, d) => K[d] - 1 - v), at.c, o))];
    });
    const more = made.o[0] > 1 ? `all ${made.o[0]} kernels: ` : "";
    sum(parts(at.o), `${more}gradient of ${about.input.name}[${cells[1][r]}, ${cells[2][c]}] = ${short(dx.get(index))}`,
      made.o[0] > 1 ? `the terms of kernel ${at.o}` : "gradient × rotated kernel");
  }
  function overDelta(r, c) {
    const reached = box().map(([u, v]) => [r - u * D[1], c - v * D[2]]).filter(([i, j]) => i >= 0 && j >= 0 && i < cells[1].length && j < cells[2].length);
    light({ delta: keys([[r, c]]), "input gradient": keys(reached), rotated: all(K[1], K[2]) });
    say("this gradient reaches the cells that its window read");
  }
  function overPooled(r, c) {
    const p = [at.z, r, c], g = dy.get(madeIndex(p));
    const window = box().map(([u, v]) => [q(r, u, 1), q(c, v, 2)]);
    const lit = { "output gradient": keys([[r, c]]), input: keys(window), "input gradient": keys(window) };
    if (g === undefined) { light(lit); say("not in this page"); return; }
    if (winners) {
      const won = taps()[winners.get(madeIndex(p))], spot = keys([[q(r, won[1], 1), q(c, won[2], 2)]]);
      light(lit, { input: spot, "input gradient": spot });
      say(`all of ${short(g)} goes to the winning cell, number ${winners.get(madeIndex(p)) + 1} of its window`);
    } else {
      light(lit);
      const count = counts ? counts.get(madeIndex(p)) : 0;
      say(count ? `each cell of the window receives ${short(g)} / ${short(count)} = ${short(g / count)}` : `${short(g)} is shared by the window`);
    }
  }

  // ---- putting it together

  function hover(role, react) {
    if (!figures[role]) return;
    figures[role].watch((r, c) => { focus = [react, r, c]; current = order.findIndex(([f, a, b]) => f === react && a === r && b === c); react(r, c); });
  }
  const kept = (array, step, n) => { // how many along an axis are in the page
    if (!array || n < 2) return n;
    let most = 1;
    while (most < n && array.get(step * most) !== undefined) most++;
    return most;
  };
  const both = (...pairs) => Math.min(...pairs.filter(([array]) => array).map(([array, [n, step]]) => kept(array, step, n)));
  const picks = [
    ["image", both([x, read.n], [y, made.n]), "n"], ["group", conv ? both([x, read.g], [w, weight.g], [y, made.g]) : 1, "g"],
    ["input channel", conv ? both([x, read.c], [w, weight.c]) : both([x, read.c], [y, made.c]), "c"],
    [about.kernel ? "kernel" : "channel", conv ? both([y, made.o], [w, weight.o]) : 1, "o"], ["depth", P[0], "z"], ["tap depth", K[0], "t"],
  ].filter(([, n]) => n > 1);

  // a kernel stands between small grids, after large ones
  const kernelAt = (kernel, a, b) => cells[2].length > 6 ? [a, b, kernel()] : [a, kernel(), b];
  function draw() {
    figures = {};
    holder.className = conv ? "" : "pooling";
    const rows = [];
    const choose = element("div", { class: "pick" }, ...picks.map(([name, n, key]) => picker(name, n, at[key], (value) => { at[key] = value; draw(); })));
    if (!backward) {
      const [read_, made_] = [inputGrid("input", about.input.name, x), outputGrid("output", about.output.name, y)];
      rows.push(conv ? kernelAt(() => kernelGrid("kernel", about.kernel.name, w), read_, made_) : [read_, made_]);
      hover("output", overOutput); hover("kernel", overWeight); hover("input", overInput);
      order = range(P[1]).flatMap((r) => range(P[2]).map((c) => [overOutput, r, c]));
    } else if (conv && dy) {
      if (dx) rows.push(kernelAt(() => kernelGrid("rotated", `${about.kernel.name}, rotated by 180°`, w, true), spreadGrid(), inputGrid("input gradient", `gradient of ${about.input.name}`, dx)));
      if (dw) rows.push([inputGrid("input", about.input.name, x), outputGrid("output gradient", `gradient of ${about.output.name}`, dy), kernelGrid("kernel gradient", `gradient of ${about.kernel.name}`, dw)]);
      hover("input gradient", overGradient); hover("delta", overDelta); hover("kernel gradient", overWeight); hover("input", overInput);
      const inner = range(cells[1].length).flatMap((r) => range(cells[2].length).map((c) => [overGradient, r, c])).filter(([, r, c]) => readIndex([depth(), r, c]) >= 0);
      order = [...(dx ? inner : []), ...(dw ? box().map(([u, v]) => [overWeight, u, v]) : [])];
    } else if (dy) {
      rows.push([outputGrid("output gradient", `gradient of ${about.output.name}`, dy), inputGrid("input", about.input.name, x), ...(dx ? [inputGrid("input gradient", `gradient of ${about.input.name}`, dx)] : [])]);
      hover("output gradient", overPooled);
      order = range(P[1]).flatMap((r) => range(P[2]).map((c) => [overPooled, r, c]));
    }
    const step = (by, words) => { const made = element("button", { title: words }, by < 0 ? "◀ cell" : "cell ▶"); made.addEventListener("click", () => { slide(false); move(by); }); return made; };
    const slides = element("button", { title: "let the window slide" }, sliding ? "stop" : "slide");
    slides.addEventListener("click", () => { slide(!sliding); slides.textContent = sliding ? "stop" : "slide"; });
    choose.append(step(-1, "previous cell (Shift + ←)"), step(1, "next cell (Shift + →)"), slides, element("span", { class: "soft" }, "or point at a cell"));
    holder.replaceChildren(choose, ...rows.map((row) => element("div", { class: "row" }, ...row)));
    if (told.changed) told.changed({ x: readIndex(first()), w: w ? weightIndex([0, 0, 0]) : -1, y: madeIndex([at.z, 0, 0]) });
    if (focus) focus[0](focus[1], focus[2]);
    else if (order.length) move(1);
  }
  const first = () => [depth(), ...[1, 2].map((d) => Math.max(0, cells[d].findIndex((cell) => cell >= 0)))];
  let sliding = null;
  function slide(on) {
    clearInterval(sliding);
    sliding = on ? setInterval(() => { if (holder.isConnected && !holder.hidden) move(1); else slide(false); }, Math.max(60, Math.min(500, 12000 / order.length))) : null;
  }
  // show the channel or kernel in which an element of an array lies
  function choose(role, index) {
    const along = ([n, step]) => n > 1 && step ? Math.floor(index / step) % n : 0;
    const set = (key, value) => { const pick = picks.find(([, , k]) => k === key); if (pick && value < pick[1]) at[key] = value; };
    if (role === "kernel") { set("o", along(weight.o)); set("c", along(weight.c)); set("g", along(weight.g)); }
    else if (role === "output") { set("n", along(made.n)); set("g", conv ? along(made.g) : 0); if (conv) set("o", along(made.o)); else set("c", along(made.c)); }
    else { set("n", along(read.n)); set("c", along(read.c)); if (conv) set("g", along(read.g)); }
    draw();
  }
  function move(by) {
    if (!order.length) return;
    current = (current + by + order.length) % order.length;
    focus = order[current];
    focus[0](focus[1], focus[2]);
  }
  draw();
  return { about, backward, move, choose, draw, stop: () => slide(false) };
}
