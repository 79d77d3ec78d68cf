// Which boxes are seen, and the picture of them: a box that is open is a frame around the layout of what it holds, and
// an edge that comes from outside passes a port in the frame's border.
// boxes: {parent, open, holds, w, h, kind, weight, card, passes}; edges: [source, target, operand, words].

const HEAD = 24, FOOT = 8;

class Tree {
  constructor(boxes, edges) {
    this.boxes = boxes;
    this.edges = edges;
    this.held = boxes.map(() => []);
    this.top = [];
    boxes.forEach(({ parent }, i) => (parent < 0 ? this.top : this.held[parent]).push(i));
    this.last = boxes.map((_, i) => i);  // the last line in a box: boxes stand in the order of those
    for (let i = boxes.length - 1; i >= 0; i--)
      for (const k of this.held[i]) this.last[i] = this.held[i][0] === k ? this.last[k] : Math.max(this.last[i], this.last[k]);
    for (const list of [this.top, ...this.held]) list.sort((a, b) => this.last[a] - this.last[b]);
  }

  above(i) {  // the boxes around it, the innermost first
    const found = [];
    for (let at = this.boxes[i].parent; at >= 0; at = this.boxes[at].parent) found.push(at);
    return found;
  }

  shown(i) {  // the box that stands for it in the picture
    let found = i;
    for (const around of this.above(i)) if (!this.boxes[around].open) found = around;
    return found;
  }

  inside(i) {
    return this.held[i].flatMap((k) => [k, ...this.inside(k)]);
  }

  // {width, height, boxes: [{i, x, y, w, h, frame}], edges: [{source, target, number, words, pieces}]}
  draw() {
    const links = [], last = new Map(), many = new Map();
    for (const [source, target, operand, words] of this.edges) {
      const a = this.shown(source), b = this.shown(target);
      if (a === b || (this.boxes[source].weight && a !== source)) continue;
      const once = `${source} ${b}`;
      if (this.boxes[b].holds) {
        if (last.has(once)) continue;
        many.set(b, (many.get(b) ?? -1) + 1);
        last.set(once, true);
        links.push({ source: a, from: source, target: b, operand: many.get(b), words: "", pieces: [] });
      } else links.push({ source: a, from: source, target: b, operand, words, pieces: [] });
    }
    for (const link of links) {
      const up = [link.source, ...this.above(link.source)], down = [link.target, ...this.above(link.target)];
      const common = down.find((k) => up.includes(k)) ?? -1;
      link.out = common < 0 ? up : up.slice(0, up.indexOf(common));
      link.into = common < 0 ? down : down.slice(0, down.indexOf(common));
      link.level = common;
    }
    const whole = this.level(-1, links), boxes = [];
    this.collect(whole, 0, 0, boxes);
    return { width: whole.width, height: whole.height, boxes, edges: links };
  }

  // the layout of what is in an open box (-1: the whole), where frames in it are laid out first
  level(box, links) {
    const own = box < 0 ? this.top : this.held[box], frames = new Map();
    for (const i of own) if (this.boxes[i].open && this.boxes[i].holds) frames.set(i, this.level(i, links));
    const nodes = [], at = new Map(), pairs = [], what = [];
    const port = (pin, key) => {
      const name = `${pin} ${key}`;
      if (!at.has(name)) { at.set(name, nodes.length); nodes.push({ w: 0, h: 0, x: 0, pin, key }); }
      return at.get(name);
    };
    for (const link of links) if (link.into.includes(box)) port("top", link.from);
    for (const i of own) {
      const { w, h, kind, weight, card, passes } = this.boxes[i], frame = frames.get(i);
      at.set(i, nodes.length);
      nodes.push(frame ? { w: frame.width, h: frame.height, x: frame.middle, i, frame } : { w, h, kind, weight, card, passes, i });
    }
    for (const link of links) if (link.out.includes(box)) port("end", link.from);
    const seen = new Set();
    for (const link of links) {
      const { into, out, level, from } = link;
      const down = into.indexOf(box), up = out.indexOf(box);
      let pair = null;
      if (level === box) pair = [at.get(out[out.length - 1]), at.get(into[into.length - 1])];
      else if (down > 0) pair = [port("top", from), at.get(into[down - 1])];
      else if (up > 0) pair = [at.get(out[up - 1]), port("end", from)];
      if (!pair) continue;
      const ends = nodes[pair[1]].frame || nodes[pair[1]].pin ? `${from} ${pair}` : "";
      if (ends && seen.has(ends)) continue;  // several readers behind one port
      seen.add(ends);
      pairs.push(pair);
      what.push(link);
    }
    const side = (end, pin) => (e) => {
      const node = nodes[pairs[e][end]];
      return node.frame ? node.frame.ports.get(`${pin} ${what[e].from}`) - node.frame.middle : null;
    };
    const found = clustered(nodes, pairs, side(1, "top"), side(0, "end"));
    const head = box < 0 ? 0 : HEAD - MARGIN / 2, foot = box < 0 ? 0 : FOOT - MARGIN / 2;
    const made = { box, nodes, found, head, width: found.width, height: found.height + head + foot, ports: new Map(), routes: [] };
    if (box >= 0) made.width = Math.max(made.width, this.boxes[box].title.length * 7.4 + 60);
    nodes.forEach((node, k) => { if (node.pin) made.ports.set(`${node.pin} ${node.key}`, found.places[k][0]); });
    const tops = [...made.ports].filter(([name]) => name.startsWith("top"));
    made.middle = tops.length ? tops[0][1] : nodes.length ? found.places[0][0] + nodes[0].w / 2 : made.width / 2;
    pairs.forEach((pair, e) => {
      if (found.joined.has(e)) return;
      const last = !nodes[pair[1]].pin && !nodes[pair[1]].frame;
      const from = nodes[pair[0]].pin === "top", to = nodes[pair[1]].pin === "end";
      made.routes.push({ link: what[e], route: found.routes[e], last, from, to });
    });
    return made;
  }

  collect({ box, nodes, found, head, routes, height }, x, y, boxes) {
    nodes.forEach((node, k) => {
      if (node.pin) return;
      const [left, top] = found.places[k], place = { i: node.i, x: x + left, y: y + head + top, w: node.w, h: node.h, frame: Boolean(node.frame) };
      boxes.push(place);
      if (node.frame) this.collect(node.frame, place.x, place.y, boxes);
    });
    for (const { link, route, last, from, to } of routes) {
      const move = ([px, py]) => [x + px, y + head + py];
      const piece = { curve: route.curve.map(move), tip: move(route.tip), side: route.side, last };
      if (from) piece.curve.unshift([piece.curve[0][0], y], [piece.curve[0][0], y], [piece.curve[0][0], y]);
      if (to) piece.foot = [piece.tip[0], y + height];
      if (from) piece.curve = [piece.curve[0], piece.curve[0], piece.curve[3], piece.curve[3], ...piece.curve.slice(4)];
      link.pieces.push(piece);
    }
  }
}
