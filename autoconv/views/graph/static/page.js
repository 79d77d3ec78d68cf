// The page of a graph: moves and scales the picture, opens and closes boxes, searches, and tells what is pointed at.

const SPACE = "http://www.w3.org/2000/svg";
const shape = (tag, attributes, ...children) => {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const html = (tag, attributes, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const round = (x) => String(Math.round(x * 100) / 100);

function path(curve) {
  let text = `M${curve[0].map(round).join(" ")}`;
  for (let i = 1; i < curve.length; i += 3) text += `C${curve.slice(i, i + 3).map((p) => p.map(round).join(" ")).join(" ")}`;
  return text;
}

function start() {
  const data = JSON.parse(document.getElementById("graph").textContent), by = (id) => document.getElementById(id);
  const view = by("view"), status = by("status"), search = by("search"), details = by("details");
  const tree = data.tree ? new Tree(data.boxes, data.tree) : null;
  const svg = tree ? shape("svg", { role: "group" }) : view.querySelector("svg");
  const scene = shape("g", {});
  if (tree) view.append(svg);
  else scene.append(...[...svg.childNodes].filter((x) => !["title", "style"].includes(x.nodeName) && !x.classList?.contains("ac-page")));
  svg.append(scene);
  let size = tree ? [1, 1] : ["width", "height"].map((name) => Number(svg.getAttribute(name)));
  for (const name of ["width", "height", "viewBox", "role"]) svg.removeAttribute(name);
  const number = new Map(data.boxes.map((box, i) => [box.id, i]));
  let at = { k: 1, x: 0, y: 0 }, current = -1, pinned = -1, groups = new Map(), lines = [], places = new Map(), hits = [];

  // ---- moving

  const put = () => scene.setAttribute("transform", `matrix(${at.k} 0 0 ${at.k} ${round(at.x)} ${round(at.y)})`);
  const scale = (factor, px = view.clientWidth / 2, py = view.clientHeight / 2) => {
    const k = Math.min(8, Math.max(0.05, at.k * factor));
    at = { k, x: px - ((px - at.x) * k) / at.k, y: py - ((py - at.y) * k) / at.k };
    put();
  };
  const fit = (least = 0) => {
    const [w, h] = [view.clientWidth, view.clientHeight], all = Math.min(w / size[0], h / size[1]);
    const k = Math.min(1.4, Math.max(all, Math.min(least, w / size[0])));
    at = { k, x: (w - size[0] * k) / 2, y: Math.max(0, (h - size[1] * k) / 2) };
    put();
  };
  const reveal = (i, middle) => {
    const box = places.get(i), margin = 30;
    if (!box) return;
    const [x, y, w, h] = [at.x + box.x * at.k, at.y + box.y * at.k, box.w * at.k, box.h * at.k];
    const [wide, high] = [view.clientWidth, view.clientHeight];
    if (middle) { at.x += wide / 2 - x - w / 2; at.y += high / 2 - y - Math.min(h, high * 0.8) / 2; }
    const move = (low, size, all) => (low < margin || size > all - 2 * margin ? margin - low : Math.min(0, all - margin - low - size));
    if (!middle) { at.x += move(x, w, wide); at.y += move(y, h, high); }
    put();
  };
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top } = view.getBoundingClientRect();
    if (event.ctrlKey || !event.shiftKey) scale(Math.exp(-event.deltaY * 0.0015), event.clientX - left, event.clientY - top);
    else { at.x -= event.deltaY + event.deltaX; put(); }
  }, { passive: false });
  const pointers = new Map();
  let moved = 0;
  view.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, [event.clientX, event.clientY]); moved = 0; });
  addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const here = [event.clientX, event.clientY], other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const { left, top } = view.getBoundingClientRect(), apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      scale(apart(here) / apart(before), (here[0] + other[0]) / 2 - left, (here[1] + other[1]) / 2 - top);
    } else { at.x += here[0] - before[0]; at.y += here[1] - before[1]; put(); }
    moved += Math.abs(here[0] - before[0]) + Math.abs(here[1] - before[1]);
    if (moved > 4) view.classList.add("moving");
    pointers.set(event.pointerId, here);
  });
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (event) => { pointers.delete(event.pointerId); view.classList.remove("moving"); });

  // ---- drawing

  const name = (i) => {
    const box = data.boxes[i], told = data.boxes[i].rows.filter(([key]) => ["shape", "value", "grad"].includes(key)).map(([key, words]) => `${key} ${words}`);
    return [box.title, ...told, box.holds ? `${tree.inside(i).length} boxes inside` : ""].filter(Boolean).join(", ");
  };
  const draw = () => {
    if (!tree) {
      for (const part of scene.querySelectorAll("g[data-node]")) {
        const i = number.get(part.getAttribute("data-node")), { x, y, width, height } = part.getBBox();
        groups.set(i, part);
        places.set(i, { x, y, w: width, h: height });
      }
      lines = [...scene.querySelectorAll("g[data-edge]")].map((part) => {
        const [source, target] = part.getAttribute("data-edge").split(" ").map((id) => number.get(id));
        return { source, target, part };
      });
    } else {
      const drawn = tree.draw();
      size = [drawn.width, drawn.height];
      scene.replaceChildren();
      groups = new Map();
      places = new Map(drawn.boxes.map((box) => [box.i, box]));
      lines = [];
      for (const box of drawn.boxes) if (box.frame) {
        const part = shape("g", { "data-node": data.boxes[box.i].id, class: "frame" });
        part.append(shape("rect", { class: "ac-frame", x: round(box.x), y: round(box.y), width: round(box.w), height: round(box.h), rx: 8 }));
        scene.append(part);
        groups.set(box.i, part);
      }
      for (const edge of drawn.edges) for (const piece of edge.pieces) lines.push({ ...edge, part: line(piece, edge, drawn.edges) });
      for (const box of drawn.boxes) {
        const told = data.boxes[box.i];
        if (box.frame) {
          const title = shape("text", { class: "ac-text ac-soft ac-halo title", x: round(box.x + 26), y: round(box.y + 16), "font-size": 11, "paint-order": "stroke", "stroke-width": 4 });
          title.textContent = told.title;
          groups.get(box.i).append(title);
          scene.append(groups.get(box.i).cloneNode(false));
          const over = scene.lastChild;
          over.setAttribute("class", "title");
          over.removeAttribute("data-node");
          over.append(title, sign(box, "−"));
        } else {
          const part = shape("g", { "data-node": told.id, transform: `translate(${round(box.x)} ${round(box.y)})` });
          part.innerHTML = told.markup;
          part.firstElementChild.removeAttribute("data-node");
          for (const rect of part.querySelectorAll(":scope > g > rect:first-of-type")) rect.setAttribute("width", round(box.w));
          scene.append(part);
          groups.set(box.i, part);
          if (told.holds) part.append(sign({ i: box.i, x: 0, y: 0, w: box.w, h: box.h }, "+"));
        }
      }
    }
    for (const [i, part] of groups) {
      part.setAttribute("tabindex", "-1");
      part.setAttribute("role", "button");
      part.setAttribute("aria-label", name(i));
      if (data.boxes[i].holds) part.setAttribute("aria-expanded", String(data.boxes[i].open));
      part.querySelector("title")?.remove();
    }
    groups.get(groups.has(current) ? current : [...groups.keys()][0])?.setAttribute("tabindex", "0");
    mark();
  };
  const line = (piece, edge, all) => {
    const part = shape("g", { "data-edge": `${data.boxes[edge.source].id} ${data.boxes[edge.target].id}` });
    const [tx, ty] = piece.tip, [fx, fy] = piece.curve[piece.curve.length - 1];
    const curve = piece.last ? piece.curve : [...piece.curve, [fx, fy], [tx, ty], piece.foot || [tx, ty]];
    part.append(shape("path", { class: "ac-edge", fill: "none", "stroke-width": 1.4, d: path(curve) }));
    if (piece.last) {
      const [sx, sy] = [0.45 * (fy - ty), 0.45 * (tx - fx)];
      part.append(shape("polygon", { class: "ac-tip", points: [[tx, ty], [fx + sx, fy + sy], [fx - sx, fy - sy]].map((p) => p.map(round).join(",")).join(" ") }));
      const into = all.filter((other) => other.target === edge.target);
      if (into.length > 1 && into.length <= 10) {
        const first = into.flatMap((other) => other.pieces).filter((p) => p.last && p.tip[1] === ty).every((p) => p.tip[0] >= tx);
        const label = shape("text", { class: "ac-text ac-soft ac-back", "font-size": 9, "text-anchor": "middle", "paint-order": "stroke", "stroke-width": 3, x: round(piece.side ? tx - 12 : tx + (first ? -9 : 9)), y: round(piece.side ? ty - 5 : ty - 4) });
        label.textContent = String(edge.operand + 1);
        part.append(label);
      }
    }
    scene.append(part);
    return part;
  };
  const sign = (box, words) => {
    const part = shape("g", { class: "sign", "data-toggle": box.i, "aria-hidden": "true" });
    const [x, y] = words === "+" ? [box.x + box.w + 1, box.y + 12] : [box.x + 13, box.y + 12];
    const mark = shape("text", { class: "ac-text ac-ink", x: round(x), y: round(y + 4.5), "font-size": 13, "text-anchor": "middle" });
    mark.textContent = words;
    part.append(shape("circle", { class: "ac-page ac-axis", cx: round(x), cy: round(y), r: 8 }), mark);
    return part;
  };

  // ---- opening

  const open = (i, wanted = !data.boxes[i].open) => {
    if (!tree || !data.boxes[i].holds || data.boxes[i].open === wanted) return;
    const before = places.get(i);
    data.boxes[i].open = wanted;
    draw();
    const after = places.get(i);
    if (before && after) { at.x += (before.x - after.x) * at.k; at.y += (before.y - after.y) * at.k; put(); }
    status.textContent = `${data.boxes[i].title} ${wanted ? "open" : "closed"}`;
    choose(i, true);
  };
  const all = (wanted) => {
    data.boxes.forEach((box) => { if (box.holds) box.open = wanted; });
    draw();
    fit();
  };
  const back = () => { data.boxes.forEach((box, i) => { box.open = first[i]; }); draw(); fit(0.5); };
  const first = data.boxes.map((box) => box.open);

  // ---- what is pointed at

  const tell = (i) => {
    details.replaceChildren();
    if (i < 0) { details.append(html("p", { class: "soft" }, "Point at a box, or choose one, and its numbers stand here.")); return; }
    const box = data.boxes[i], table = html("dl", {});
    details.append(html("h2", {}, box.title));
    if (box.path) details.append(html("p", { class: "soft" }, box.path));
    for (const [key, words] of box.rows) table.append(html("dt", {}, key), html("dd", {}, words));
    details.append(table);
    if (box.inside.length) {
      const list = html("table", {});
      for (const row of box.inside) list.append(html("tr", {}, ...row.map((words) => html("td", {}, words))));
      details.append(list);
    }
  };
  const mark = () => {
    const shown = pinned >= 0 ? pinned : current, found = new Map();
    for (const i of hits) { const seen = tree ? tree.shown(i) : i; found.set(seen, (found.get(seen) || 0) + 1); }
    for (const [i, part] of groups) {
      part.classList.toggle("chosen", i === pinned);
      part.classList.toggle("hit", found.has(i));
      part.classList.toggle("miss", hits.length > 0 && !found.has(i) && !part.classList.contains("frame"));
    }
    for (const { source, target, part } of lines) part.classList.toggle("lit", shown >= 0 && (source === shown || target === shown));
  };
  const choose = (i, focus) => {
    pinned = current = i;
    for (const part of groups.values()) part.setAttribute("tabindex", "-1");
    groups.get(i)?.setAttribute("tabindex", "0");
    tell(i);
    mark();
    if (focus) { groups.get(i)?.focus({ preventScroll: true }); reveal(i); }
  };
  const under = (event) => {
    const part = event.target.closest?.("g[data-node]");
    return part && scene.contains(part) ? number.get(part.getAttribute("data-node")) : -1;
  };
  scene.addEventListener("pointerover", (event) => { current = under(event); tell(current >= 0 ? current : pinned); mark(); });
  view.addEventListener("click", (event) => {
    if (moved > 4) return;
    const toggle = event.target.closest?.("[data-toggle]");
    if (toggle) { open(Number(toggle.getAttribute("data-toggle"))); return; }
    choose(under(event), false);
  });
  view.addEventListener("dblclick", (event) => { const i = under(event); if (i >= 0) open(i); });
  view.addEventListener("focusin", (event) => { const i = under(event); if (i >= 0 && i !== pinned) choose(i, false); });

  // ---- searching

  const words = data.boxes.map((box) => [box.title, box.path, box.operation, ...box.rows.map((row) => row.join(" "))].join("\n").toLowerCase());
  let turn = -1;
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    const holds = (i) => words[i].includes(wanted);
    hits = wanted ? data.boxes.flatMap((_, i) => (holds(i) ? [i] : [])) : [];
    turn = -1;
    status.textContent = wanted ? `${hits.length} found${hits.length ? ", Enter shows the next" : ""}` : "";
    mark();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { search.value = ""; search.dispatchEvent(new Event("input")); view.focus(); }
    if (event.key !== "Enter" || !hits.length) return;
    turn = (turn + (event.shiftKey ? hits.length - 1 : 1)) % hits.length;
    const i = hits[turn];
    if (tree) { for (const around of tree.above(i)) data.boxes[around].open = true; draw(); }
    choose(i, false);
    reveal(i, true);
    status.textContent = `${turn + 1} of ${hits.length}: ${data.boxes[i].title}`;
  });

  // ---- keys and buttons

  const near = (i, key) => {
    const shown = [...groups.keys()].sort((a, b) => (places.get(a).y - places.get(b).y) || (places.get(a).x - places.get(b).x));
    if (i < 0 || !groups.has(i)) return shown[0];
    if (key === "ArrowUp" || key === "ArrowDown") {
      const [here, there] = key === "ArrowUp" ? ["target", "source"] : ["source", "target"];
      const found = lines.filter((edge) => edge[here] === i).map((edge) => edge[there]);
      const straight = found.sort((a, b) => Math.abs(places.get(a).x - places.get(i).x) - Math.abs(places.get(b).x - places.get(i).x));
      if (straight.length) return straight[0];
    }
    const step = key === "ArrowUp" || key === "ArrowLeft" ? -1 : 1, place = shown.indexOf(i);
    return shown[Math.min(shown.length - 1, Math.max(0, place + step))];
  };
  const actions = {
    "+": () => scale(1.25), "=": () => scale(1.25), "-": () => scale(0.8), 0: () => fit(), "/": () => search.focus(),
    Enter: () => pinned >= 0 && open(pinned), " ": () => pinned >= 0 && open(pinned),
    Escape: () => { pinned = current = -1; tell(-1); mark(); },
  };
  addEventListener("keydown", (event) => {
    if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("button") && ["Enter", " "].includes(event.key)) return;
    if (event.key.startsWith("Arrow")) choose(near(pinned, event.key), true);
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  });
  const buttons = { larger: () => scale(1.25), smaller: () => scale(0.8), whole: () => fit(), open: () => all(true), close: () => all(false), back };
  for (const [id, act] of Object.entries(buttons)) {
    by(id).addEventListener("click", act);
    by(id).hidden = !tree && ["open", "close", "back"].includes(id);
  }
  draw();
  fit(0.5);
  tell(-1);
  addEventListener("resize", put);
  window.autoconv = {
    boxes: () => [...groups.keys()].map((i) => data.boxes[i].id),
    open: (id) => open(number.get(id), true),
    close: (id) => open(number.get(id), false),
    scale: () => at.k,
  };
}

if (typeof document !== "undefined") start();
