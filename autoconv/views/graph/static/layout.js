// Where boxes and edges go: render/layout.py and render/straight.py once more, for a page that opens and closes boxes.
// A vertex is {w, h, left, right, tall, pin}: its size, how far all that belongs to it reaches from its x to both
// sides, its height with that, and "top" or "end" for a port in a frame's border.  Tests hold both to the same numbers.

const ARROW = 8, MARGIN = 16, GAP_HIGH = 110, NARROW = 24, BETWEEN = 26, LANE = 14;

const times = (count, make) => Array.from({ length: count }, (_, i) => make(i));
const byFirst = (a, b) => { for (let k = 0; k < a.length; k++) if (a[k] !== b[k]) return a[k] - b[k]; return 0; };

function ranks(vertices, edges) {
  const count = vertices.length, above = times(count, () => new Set()), below = times(count, () => new Set());
  for (const [a, b] of edges) { above[b].add(a); below[a].add(b); }
  const rank = new Array(count).fill(0), held = new Array(count).fill(0);
  for (let v = 0; v < count; v++) for (const u of above[v]) {
    rank[v] = Math.max(rank[v], rank[u] + 1);
    held[v] += held[u] > 0 || below[u].size > 1;
  }
  for (let v = count - 1; v >= 0; v--)
    if (below[v].size && below[v].size >= held[v] && vertices[v].pin !== "top")
      rank[v] = Math.min(...[...below[v]].map((w) => rank[w])) - 1;
  const last = vertices.reduce((most, vertex, v) => (vertex.pin === "end" ? most : Math.max(most, rank[v])), 0);
  vertices.forEach((vertex, v) => { if (vertex.pin === "end") rank[v] = last + 1; });
  return rank;
}

function lanes(rank, far) {
  const budget = 1000 + 4 * rank.length, outside = [];
  let spent = 0;
  for (const v of rank.map((_, v) => v).sort((a, b) => byFirst([far[a] - rank[a], a], [far[b] - rank[b], b]))) {
    spent += far[v] - rank[v];
    if (spent > budget && far[v] > rank[v]) outside.push(v);
  }
  const free = [], busy = [], chosen = new Map();
  for (const v of outside.sort((a, b) => byFirst([rank[a], a], [rank[b], b]))) {
    while (busy.length && busy[0][0] < rank[v]) free.push(busy.shift()[1]);
    free.sort((a, b) => a - b);
    const lane = free.length ? free.shift() : busy.length;
    chosen.set(v, lane);
    busy.push([far[v], lane]);
    busy.sort(byFirst);
  }
  return chosen;
}

function network(vertices, edges) {
  const net = { vertices, edges, rank: ranks(vertices, edges) }, { rank } = net, count = vertices.length;
  const far = rank.slice();
  for (const [a, b] of edges) far[a] = Math.max(far[a], rank[b] - 1);
  net.lanes = lanes(rank.slice(), far);
  net.up = times(count, () => []);
  net.down = times(count, () => []);
  net.trunk = times(count, () => new Map());
  for (let v = 0; v < count; v++) {
    let previous = v;
    net.trunk[v].set(rank[v], v);
    if (!net.lanes.has(v)) for (let r = rank[v] + 1; r <= far[v]; r++) {
      const slot = rank.push(r) - 1;
      net.up.push([previous]);
      net.down.push([]);
      net.down[previous].push(slot);
      net.trunk[v].set(r, slot);
      previous = slot;
    }
  }
  for (const [a, b] of edges) if (!net.lanes.has(a) || rank[b] === rank[a] + 1) {
    const from = net.trunk[a].get(rank[b] - 1);
    net.up[b].push(from);
    net.down[from].push(b);
  }
  net.rows = times(Math.max(-1, ...rank) + 1, () => []);
  net.x = new Array(rank.length).fill(0);
  return net;
}

// ---- order inside the ranks

function order(net, sweeps = 12) {
  const seen = new Set();
  for (let sink = 0; sink < net.vertices.length; sink++) {
    const waiting = net.down[sink].length ? [] : [sink];
    while (waiting.length) {
      const v = waiting.pop();
      if (seen.has(v)) continue;
      seen.add(v);
      net.rows[net.rank[v]].push(v);
      waiting.push(...net.up[v].slice().reverse());
    }
  }
  let best = net.rows.map((row) => row.slice()), fewest = crossings(net), since = 0;
  for (let sweep = 0; sweep < sweeps && fewest && since < 4; sweep++) {
    const falling = sweep % 2 === 0;
    for (const row of falling ? net.rows : net.rows.slice().reverse()) sortRow(net, row, falling ? net.up : net.down);
    const now = crossings(net);
    since += 1;
    if (now < fewest) { best = net.rows.map((row) => row.slice()); fewest = now; since = 0; }
  }
  net.rows = best;
}

function sortRow(net, row, neighbours) {
  const movable = row.filter((v) => neighbours[v].length);
  if (!movable.length) return;
  const position = new Map(net.rows[net.rank[neighbours[movable[0]][0]]].map((v, i) => [v, i]));
  const centre = new Map(movable.map((v) => [v, neighbours[v].reduce((sum, w) => sum + position.get(w), 0) / neighbours[v].length]));
  const ordered = movable.slice().sort((a, b) => centre.get(a) - centre.get(b));
  let next = 0;
  row.forEach((v, i) => { if (neighbours[v].length) row[i] = ordered[next++]; });
}

function bisect(list, value) {  // the place behind all that are not larger
  let low = 0, high = list.length;
  while (low < high) { const middle = (low + high) >> 1; if (list[middle] <= value) low = middle + 1; else high = middle; }
  return low;
}

function crossings(net) {
  let total = 0;
  for (let r = 1; r < net.rows.length; r++) {
    const position = new Map(net.rows[r].map((v, i) => [v, i])), ends = [];
    for (const v of net.rows[r - 1]) {
      const targets = net.down[v].map((w) => position.get(w));
      for (const t of targets) total += ends.length - bisect(ends, t);
      for (const t of targets) ends.splice(bisect(ends, t), 0, t);
    }
  }
  return total;
}

// ---- the longest path straight down, all else beside it

const leftOf = (net, v) => (v < net.vertices.length ? net.vertices[v].left : 0);
const rightOf = (net, v) => (v < net.vertices.length ? net.vertices[v].right : 0);

function separations(net, row) {
  const boxes = net.vertices.length, found = [];
  let right = 0;
  row.forEach((v, i) => {
    if (i) right += leftOf(net, v) + [BETWEEN, (BETWEEN + LANE) / 2, LANE][(v >= boxes) + (row[i - 1] >= boxes)];
    found.push(right);
    right += rightOf(net, v);
  });
  return found;
}

function straighten(net) {
  const backbone = spine(net), block = blocksOf(net, new Set(backbone)), count = Math.max(-1, ...block) + 1;
  const after = times(count, () => new Map()), before = times(count, () => new Map()), near = times(count, () => []);
  for (const row of net.rows) {
    const apart = separations(net, row);
    for (let i = 1; i < row.length; i++) {
      const a = block[row[i - 1]], b = block[row[i]], gap = Math.max(apart[i] - apart[i - 1], after[a].get(b) || 0);
      after[a].set(b, gap);
      before[b].set(a, gap);
    }
  }
  net.up.forEach((uppers, v) => uppers.forEach((u) => {
    if (block[u] !== block[v]) { near[block[v]].push(block[u]); near[block[u]].push(block[v]); }
  }));
  const x = packed(sorted(after, before), after, before, near, backbone.length ? block[backbone[0]] : -1);
  net.x = block.map((b) => x[b]);
}

function spine(net) {
  const boxes = net.vertices.length, found = new Array(net.rank.length).fill(0), via = new Array(net.rank.length).fill(-1);
  for (const row of net.rows) for (const v of row) {
    for (const u of net.up[v]) if (found[u] > found[v]) { found[v] = found[u]; via[v] = u; }
    found[v] += v < boxes;
  }
  let end = -1;
  for (let v = 0; v < boxes; v++) if (end < 0 || found[v] >= found[end]) end = v;
  const path = [];
  for (; end >= 0; end = via[end]) path.push(end);
  return path.reverse();
}

function blocksOf(net, backbone) {
  const boxes = net.vertices.length, above = new Array(net.rank.length).fill(-1), below = above.slice(), position = [];
  for (const row of net.rows) row.forEach((v, i) => { position[v] = i; });
  const urgency = (u, v) => {
    if (backbone.has(u) && backbone.has(v)) return 0;
    if (u >= boxes && v >= boxes) return 1;
    if (u >= boxes || v >= boxes) return 3;
    return net.down[u].length === 1 && net.up[v].length === 1 ? 2 : 4;
  };
  for (const row of net.rows.slice(1)) {
    const pairs = [];
    for (const v of row) {
      const uppers = [...new Set(net.up[v])].sort((a, b) => position[a] - position[b]);
      uppers.forEach((u, i) => pairs.push([urgency(u, v), Math.abs(2 * i + 1 - uppers.length), position[v], u, v]));
    }
    const joined = [];
    for (const [, , , u, v] of pairs.sort(byFirst)) {
      if (below[u] >= 0 || above[v] >= 0) continue;
      const i = bisect(joined.map((pair) => pair[0]), position[u]);
      if ((i && joined[i - 1][1] >= position[v]) || (i < joined.length && position[v] >= joined[i][1])) continue;
      joined.splice(i, 0, [position[u], position[v]]);
      below[u] = v;
      above[v] = u;
    }
  }
  const block = new Array(net.rank.length).fill(-1);
  let count = 0;
  for (const row of net.rows) for (const v of row) block[v] = above[v] < 0 ? count++ : block[above[v]];
  return block;
}

function sorted(after, before) {
  const waiting = before.map((known) => known.size), ready = [], found = [];
  waiting.forEach((many, b) => { if (!many) ready.push(b); });
  while (ready.length) {
    const b = ready.pop();
    found.push(b);
    for (const c of after[b].keys()) if (!--waiting[c]) ready.push(c);
  }
  return found;
}

function packed(sequence, after, before, near, middle) {
  const x = new Array(sequence.length).fill(0), left = new Set([middle]), backward = sequence.slice().reverse();
  for (const b of backward) {
    const ahead = [...after[b]].filter(([c]) => left.has(c));
    if (b === middle || !ahead.length) continue;
    left.add(b);
    x[b] = Math.min(...ahead.map(([c, gap]) => x[c] - gap));
  }
  left.delete(middle);
  const right = sequence.filter((b) => !left.has(b) && b !== middle), placed = new Set([...left, middle]);
  const mean = (list, other) => (list.length ? list.reduce((sum, b) => sum + x[b], 0) / list.length : other);
  for (const b of right) {
    const known = [...before[b]].map(([a, gap]) => x[a] + gap);
    x[b] = known.length ? Math.max(...known) : mean(near[b].filter((c) => placed.has(c)), 0);
    placed.add(b);
  }
  for (let sweep = 0; sweep < 3; sweep++) {
    for (const b of right.slice().reverse())
      x[b] = Math.max(x[b], Math.min(...[...after[b]].map(([c, gap]) => x[c] - gap), mean(near[b], x[b])));
    for (const b of sequence) if (left.has(b))
      x[b] = Math.min(x[b], Math.max(...[...before[b]].map(([c, gap]) => x[c] + gap), mean(near[b], x[b])));
  }
  return x;
}

// ---- coordinates

// {width, height, boxes: [[x of the middle, top]], routes: [{curve, tip}]}; enter and leave give the x, from the middle
// of its box, at which an edge ends or begins where that is a frame, else null
function layered(vertices, pairs, enter = () => null, leave = () => null) {
  if (!vertices.length) return { width: 2 * MARGIN, height: 2 * MARGIN, boxes: [], routes: [] };
  const edges = pairs.map(([a, b]) => [Math.min(a, b), Math.max(a, b)]), net = network(vertices, edges);
  order(net);
  straighten(net);
  const shift = MARGIN - Math.min(...net.x.map((x, v) => x - leftOf(net, v))), x = net.x.map((value) => value + shift);
  const right = Math.max(...x.map((value, v) => value + rightOf(net, v)));
  const beside = new Map([...net.lanes].map(([v, lane]) => [v, right + LANE * (lane + 1.5)]));
  const { rank, rows } = net;

  const ends = new Array(edges.length).fill(0), came = vertices.map(() => []);
  edges.forEach(([a, b], e) => {
    const lane = beside.has(a) && rank[b] > rank[a] + 1;
    came[b].push([lane ? beside.get(a) : x[net.trunk[a].get(rank[b] - 1)], e]);
  });
  came.forEach((arriving, b) => {
    arriving.sort(byFirst);
    const straight = arriving.flatMap(([at], i) => (Math.abs(at - x[b]) < 0.5 ? [i] : []));
    const alone = straight.length === 1, middle = alone ? straight[0] : (arriving.length - 1) / 2;
    const room = alone ? 2 * Math.max(middle, arriving.length - 1 - middle) + 1 : arriving.length;
    const step = Math.min(22, (0.8 * vertices[b].w) / Math.max(1, room));
    arriving.forEach(([, e], i) => { ends[e] = x[b] + (enter(e) ?? step * (i - middle)); });
  });

  const travel = rows.map(() => 0), tops = [], bottoms = [];
  net.down.forEach((targets, v) => targets.forEach((w) => { travel[rank[w]] = Math.max(travel[rank[w]], Math.abs(x[v] - x[w])); }));
  let y = MARGIN;
  rows.forEach((row, r) => {
    y += r ? Math.min(GAP_HIGH, NARROW + 0.12 * travel[r]) : 0;
    tops.push(y);
    y += Math.max(0, ...row.filter((v) => v < vertices.length).map((v) => vertices[v].tall));
    bottoms.push(y);
  });
  const boxes = vertices.map((vertex, v) => [x[v], (tops[rank[v]] + bottoms[rank[v]]) / 2 - vertex.h / 2]);
  const routes = edges.map(([a, b], e) => {
    const final = rank[b];
    let at = x[a] + (leave(e) ?? 0);
    const stops = [[at, boxes[a][1] + vertices[a].h]];
    for (const [r, next] of bends(net, x, beside, a, at)) if (r < final) {
      stops.push([at, bottoms[r - 1]], [next, tops[r] - ARROW]);
      at = next;
    }
    stops.push([at, bottoms[final - 1]], [ends[e], tops[final] - ARROW], [ends[e], boxes[b][1]]);
    return route(a === pairs[e][0] ? stops : stops.reverse());
  });
  return { width: Math.max(right, ...beside.values()) + MARGIN, height: y + MARGIN, boxes, routes };
}

function bends(net, x, beside, v, start) {
  let at = start, r = net.rank[v] + 1;
  if (beside.has(v)) return [[r, beside.get(v)]];
  const found = [];
  for (; net.trunk[v].has(r); r++) {
    const slot = x[net.trunk[v].get(r)];
    if (Math.abs(slot - at) > 0.5) { found.push([r, slot]); at = slot; }
  }
  return found;
}

function route(stops) {
  const tip = stops[stops.length - 1], down = tip[1] > stops[0][1] ? 1 : -1;
  const all = [...stops.slice(0, -1), [tip[0], tip[1] - down * ARROW]], curve = [all[0]];
  for (let i = 1; i < all.length; i++) {
    const [[x0, y0], [x1, y1]] = [all[i - 1], all[i]], middle = (y0 + y1) / 2;
    if (x0 !== x1 || y0 !== y1) curve.push([x0, middle], [x1, middle], [x1, y1]);
  }
  return { curve, tip };
}

// ---- clusters: parameters and constants beside their reader, activations on what they follow (render/cluster.py)

const MOST = 6, APART = 30, BELOW = 8;

function clusters(nodes, pairs) {
  const reads = nodes.map(() => []), readers = nodes.map(() => []);
  for (const [a, b] of pairs) { reads[b].push(a); readers[a].push(b); }
  const left = new Map(), leaf = (a) => !reads[a].length && !nodes[a].pin;
  reads.forEach((sources, b) => {
    const distinct = [...new Set(sources)];
    let own = nodes[b].pin || nodes[b].frame ? [] : distinct.filter((a) => leaf(a) && readers[a].length === 1);
    if (own.length && !sources.some((a) => !leaf(a))) {
      own = own.filter((a) => nodes[a].weight || nodes[a].kind === "constant");
      own = own.length < distinct.length ? own : own.slice(1);
    }
    if (own.length && own.length <= MOST) left.set(b, own);
  });
  const aside = new Set([...left.values()].flat()), found = [], home = new Map();
  nodes.forEach((node, i) => {
    if (aside.has(i)) return;
    const source = reads[i].length === 1 ? reads[i][0] : -1, below = home.get(source);
    const alone = below && readers[source].length === 1 && readers[source][0] === i;
    if (alone && node.passes && nodes[source].card && below.stack[below.stack.length - 1] === source) {
      below.stack.push(i);
      home.set(i, below);
    } else {
      home.set(i, { stack: [i], left: left.get(i) || [] });
      found.push(home.get(i));
    }
  });
  return found;
}

// {width, height, places: [[left, top]] of the nodes, routes, joined}; a node is {w, h, x, weight, kind, card, passes,
// pin}: x is how far the middle of a frame stands from its left
function clustered(nodes, pairs, enter, leave) {
  const known = clusters(nodes, pairs), home = [], sum = (list) => list.reduce((a, b) => a + b, 0);
  known.forEach((cluster, k) => [...cluster.stack, ...cluster.left].forEach((i) => { home[i] = k; }));
  const joined = new Set(), short = new Map(), between = [];
  pairs.forEach(([a, b], e) => {
    if (home[a] !== home[b]) between.push(e);
    else if (known[home[a]].stack.includes(a)) joined.add(e);
    else short.set(a, e);
  });
  const vertices = known.map(({ stack, left }) => {
    const w = Math.max(...stack.map((i) => nodes[i].w)), h = sum(stack.map((i) => nodes[i].h)), x = nodes[stack[0]].x ?? w / 2;
    const aside = left.length ? Math.max(...left.map((i) => nodes[i].w)) + APART : 0;
    const height = left.length ? sum(left.map((i) => nodes[i].h + BELOW)) - BELOW : 0;
    return { w, h, left: x + aside, right: w - x, x, tall: Math.max(h, height), aside: height, pin: nodes[stack[0]].pin };
  });
  const found = layered(vertices, between.map((e) => pairs[e].map((i) => home[i])), (k) => enter(between[k]), (k) => leave(between[k]));
  const places = [], routes = [];
  known.forEach(({ stack, left }, k) => {
    const [middle, top] = found.boxes[k], { w, h, x, aside } = vertices[k], start = middle - x;
    let at = top;
    for (const i of stack) { places[i] = [start, at]; nodes[i].w = nodes[i].pin || nodes[i].x !== undefined ? nodes[i].w : w; at += nodes[i].h; }
    const first = nodes[stack[0]];
    at = Math.max(Math.min(top + first.h / 2, top + h / 2) - aside / 2, top + h / 2 - Math.max(h, aside) / 2);
    left.forEach((i, n) => {
      places[i] = [start - APART - nodes[i].w, at];
      const y = at + nodes[i].h / 2, high = top + (first.h * (n + 1)) / (left.length + 1), end = start - ARROW;
      const turn = (start - APART + end) / 2;
      routes[short.get(i)] = { curve: [[start - APART, y], [turn, y], [turn, high], [end, high]], tip: [start, high], side: true };
      at += nodes[i].h + BELOW;
    });
  });
  between.forEach((e, k) => { routes[e] = found.routes[k]; });
  return { width: found.width, height: found.height, places, routes, joined };
}
