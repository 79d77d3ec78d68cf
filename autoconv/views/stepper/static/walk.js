// The walk: which stop, line or scalar is shown, and the buttons, keys, slider and map that change it.
// At "calls" a step is a unit (conv2d, relu, a layer); opened, a step is one of its lines; a line opens into its scalars.

const LEVELS = ["calls", "lines", "scalars"];

async function start() {
  const trace = JSON.parse(document.getElementById("trace").textContent);
  unpack(trace, await inflate(trace.packed));
  const by = (id) => document.getElementById(id);
  const { events, stops, units, lines, texts } = trace, slider = by("slider"), terms = by("terms");
  const loud = stops.map((_, k) => k).filter((k) => !units[stops[k].unit].quiet);
  if (!loud.length) stops.forEach((_, k) => loud.push(k));
  const isBackward = (event) => !["input", "forward"].includes(event.kind);
  const stopOf = events.map(() => 0);
  stops.forEach((stop, k) => { for (let e = stop.first; e <= stop.last; e++) stopOf[e] = k; });
  const walked = events.map((_, k) => k).filter((k) => !["input", "gradient"].includes(events[k].kind)); // parameters are not walked through
  if (!walked.length) events.forEach((_, k) => walked.push(k));
  const figureOf = new Map();
  trace.pictures.forEach((about) => about.lines.forEach((line) => { figureOf.set(line, about); }));
  const slides = new Map(); // opened, the window is shown with the lines in which it slides
  trace.pictures.forEach((about) => about.slides.forEach((line) => { slides.set(line, about); }));
  let drawn = [], level = 0, stop = 0, event = 0, scalar = 0, timer = null, picture = null, zoom = 1;

  // what is known after an event: units whose value is computed, whose gradient has arrived
  const reached = units.map(() => [Infinity, Infinity]);
  events.forEach((e, i) => {
    const of = lines[e.target].unit;
    if (of >= 0) reached[of][isBackward(e) ? 1 : 0] = Math.min(reached[of][isBackward(e) ? 1 : 0], i);
  });

  const mark = drawMap(trace, by("map"), (unit) => {
    const now = stops[stop].phase;
    let found = stops.findIndex((s) => s.unit === unit && s.phase === now);
    if (found < 0) found = stops.findIndex((s) => s.unit === unit);
    if (found >= 0) { play(false); show(0, found); }
  });

  // ---- moving

  const elements = () => { // flat indices of the elements that a line's scalars are, as far as they are in the page
    const grid = events[event].grids.find(([role]) => role === (isBackward(events[event]) ? "after" : "result"));
    return grid ? trace.arrays[grid[2]] : null;
  };
  const opens = () => { const array = elements(); return array && product(array.kept) > 0; };
  function count() { return level === 0 ? loud.length : level === 1 ? walked.length : product((elements() || { kept: [1] }).kept); }
  function place() { // from 0, at this level
    if (level === 1) return Math.max(0, walked.indexOf(event));
    if (level === 2) return scalar;
    const at = loud.indexOf(stop);
    return at >= 0 ? at : Math.max(0, loud.filter((k) => k < stop).length - 1);
  }
  function go(to) {
    const at = Math.min(Math.max(0, to), count() - 1);
    if (level === 0) show(0, loud[at]);
    else if (level === 1) show(1, stopOf[walked[at]], walked[at]);
    else show(2, stop, event, at);
  }
  function move(by_) {
    if (level === 0 && !loud.includes(stop)) {
      const next = by_ > 0 ? loud.find((k) => k > stop) : [...loud].reverse().find((k) => k < stop);
      if (next !== undefined) show(0, next);
    } else go(place() + by_);
  }
  function open() {
    if (level === 0) show(1, stop, walked.find((k) => k >= stops[stop].first) ?? stops[stop].last);
    else if (level === 1 && opens()) show(2, stop, event, 0);
  }
  function close() {
    if (level === 2) show(1, stop, event);
    else if (level === 1) show(0, stop);
  }

  // ---- showing

  function show(newLevel, newStop, newEvent, newScalar) {
    const last = `${level}|${stop}|${event}`;
    level = newLevel;
    stop = newStop;
    event = newEvent === undefined ? stops[stop].last : newEvent;
    scalar = newScalar || 0;
    const now = stops[stop], unit = units[now.unit], e = events[event], backward = now.phase === "backward";
    const total = count(), at = place();
    slider.max = total;
    slider.value = at + 1;
    Object.assign(document.body.dataset, { step: at + 1, level: LEVELS[level], unit: now.unit, phase: now.phase, event: event + 1 });
    document.body.classList.toggle("backward", backward);
    by("count").textContent = `${at + 1} / ${total}`;
    const path = level ? texts[lines[e.line].where] : "";
    by("says").textContent = level ? texts[e.says] : sentence(now, unit);
    by("where").textContent = level && path ? `${now.phase} in ${path}` : "";
    for (const [id, off] of [["first", at === 0], ["back", at === 0 && loud.includes(stop)], ["next", at === total - 1 && (level || loud.includes(stop))], ["last", at === total - 1]])
      by(id).disabled = off;
    LEVELS.forEach((name, k) => by(name).setAttribute("aria-pressed", String(k === level)));
    by("scalars").disabled = level === 0 || !opens();
    const known = new Set(), graded = new Set();
    reached.forEach(([value, gradient], k) => { if (value <= event) known.add(k); if (gradient <= event) graded.add(k); });
    mark({ unit: now.unit, backward, known, graded });

    if (`${level}|${stop}|${event}` !== last) body(now, unit, e, backward);
    equation(now, e);
    if (level === 2) pointAt(scalar);
    by("note").textContent = [trace.note, trace.rounded ? "Numbers in this page are rounded to four digits." : "", trace.arrays.some((a) => a.part) ? "Of large arrays the first pictures are in it; save(…, numbers=\"all\") keeps all." : ""].filter(Boolean).join(" ");
  }

  function sentence(now, unit) {
    if (unit.kind === "input") return `${unit.title} is given${unit.shape.length ? `, shape (${unit.shape.join(", ")})` : ""}`;
    const read = unit.reads.map((k) => units[k].name), from = read.length ? ` of ${read.slice(0, 4).join(", ")}${read.length > 4 ? ", …" : ""}` : "";
    return now.phase === "forward" ? `forward: ${unit.title}${from}${unit.says ? ` · ${unit.says}` : ""}`
      : `backward: ${unit.title} · ${now.grids.filter(([role]) => role === "after").map(([, label]) => texts[label]).slice(0, 4).join(", ")}`;
  }

  function body(now, unit, e, backward) {
    if (picture) picture.stop();
    picture = null;
    terms.replaceChildren();
    by("readout").textContent = "";
    const about = level === 0 ? figureOf.get(unit.line) : slides.get(e.line), grids = level === 0 ? now.grids : e.grids;
    by("title").textContent = level === 0 ? unit.title : lines[e.line].name;
    by("settings").textContent = level === 0 ? unit.says : "";
    const held = by("picture");
    held.hidden = !about;
    held.replaceChildren();
    const figures = grids.map(([role, label, array, line]) => ({ role, line, array: trace.arrays[array], make: () => tensorFigure(trace.arrays[array], texts[label], role, { ...tell(role, line, trace.arrays[array]), width: by("work").clientWidth - 60 }, zoom) }));
    for (const part of figures) part.figure = part.make();
    drawn = figures.filter(({ array, role }) => level > 0 || !(about && within(about, array) && product(array.shape) === small(about, array, role)));
    by("grids").replaceChildren(...drawn.map(({ figure }) => figure));
    if (about) {
      const changed = (at) => figures.forEach(({ figure, line }) => {
        const role = line === about.input.line ? "x" : about.kernel && line === about.kernel.line ? "w" : line === about.output.line ? "y" : "";
        if (role && at[role] >= 0) figure.choose(at[role]);
      });
      picture = drawPicture(trace, about, backward, held, terms, { changed, zoom });
    } else if (level < 2) {
      const main = figures.find(({ role }) => role === (backward ? "after" : "result"));
      if (main && main.array.get(0) !== undefined) tell(main.role, main.line, main.array).hover(0);
    }
  }
  // an array that the picture above shows whole is not shown again below it
  const within = (about, array) => ["input", "kernel", "output"].some((role) => about[role] && [about[role].value, about[role].grad].some((n) => n >= 0 && trace.arrays[n] === array));
  const small = (about, array) => array.tile.length < 3 && !array.others.length ? product(array.shape) : -1;

  // what a figure says when one of its elements is pointed at or chosen
  function tell(role, line, array) {
    const about = level === 0 ? figureOf.get(units[stops[stop].unit].line) : slides.get(events[event].line);
    const part = about && ["input", "kernel", "output"].find((r) => about[r] && about[r].line === line);
    return {
      hover: (index) => {
        by("readout").textContent = `${lines[line] ? lines[line].name : ""}${where(array, index)} = ${short(array.get(index))}`;
        const found = opened(role, line);
        if (found && !picture) write(scalarOf(trace, found, index));
        else if (!picture) write({ title: by("readout").textContent, rows: [] });
      },
      pick: (index) => {
        if (picture && part) picture.choose(part, index);
        else if (level > 0 && opened(role, line)) show(2, stop, event, placeOf(array, index));
      },
    };
  }
  // the event that makes the elements of an array: at calls the only line of a unit, else the line that is shown
  function opened(role, line) {
    if (level > 0) {
      const e = events[event];
      return (isBackward(e) ? role === "after" && line === e.target : role === "result") ? e : null;
    }
    const now = stops[stop], inside = events.slice(now.first, now.last + 1);
    if (now.phase === "forward") {
      if (role !== "result") return null;
      const sums = inside.filter((e) => e.kind === "forward" && lines[e.line].spec); // of a linear layer the sum, not the bias
      const same = sums.length === 1 && String(shapeOf(sums[0])) === String(units[now.unit].shape);
      return same ? sums[0] : inside.filter((e) => e.line === line && e.kind === "forward").pop();
    }
    const last = inside.filter((e) => e.kind === "accumulate" && e.target === line);
    return role === "after" && last.length === 1 ? last[0] : null;
  }
  const shapeOf = (e) => { const grid = e.grids.find(([role]) => role === "result"); return grid ? trace.arrays[grid[2]].shape : null; };
  const placeOf = (array, index) => { const inner = stepsOf(array.kept); return indexOf(array, index).reduce((sum, at, axis) => sum + Math.floor(at / array.every[axis]) * inner[axis], 0); };
  const flatOf = (array, place_) => { const inner = stepsOf(array.kept); return array.kept.reduce((sum, n, axis) => sum + Math.floor(place_ / inner[axis]) % n * array.every[axis] * array.steps[axis], 0); };

  function pointAt(k) {
    const array = elements();
    if (!array) return;
    const index = flatOf(array, k);
    write(scalarOf(trace, events[event], index));
    for (const { array: of, figure } of drawn) if (figure.mark && String(of.shape) === String(array.shape)) figure.mark(index);
  }
  function write({ title, rows }) {
    terms.replaceChildren(element("div", {}, element("b", {}, title)), ...rows.map((row) => element("div", {}, row)));
    terms.scrollTop = 0;
  }

  function equation(now, e) {
    const shown = level === 0 ? now.math.map((k) => texts[k]) : [texts[e.math], ...(e.local === undefined ? [] : [texts[e.local]])];
    by("math").innerHTML = shown.join("");
    by("legend").replaceChildren(...(level === 0 ? now.legend : []).map(([letter, name]) => {
      const row = element("div", {});
      row.innerHTML = texts[letter];
      row.append(" " + texts[name]);
      return row;
    }));
    const made = level > 0 && e.opens || [];
    by("opens").hidden = !made.length;
    by("opened").replaceChildren(...made.map(([says, math]) => {
      const part = element("div", {}, element("div", { class: "soft" }, texts[says]));
      part.insertAdjacentHTML("beforeend", texts[math]);
      return part;
    }));
    const list = by("inside"), rows = [];
    for (let i = now.first; i <= now.last; i++) {
      const inner = events[i];
      if (["input", "gradient"].includes(inner.kind) && now.first !== now.last) continue;
      const row = element("button", { class: level > 0 && i === event ? "lit" : "", "data-event": i + 1 }, texts[inner.says]);
      if (level > 0 && i === event) row.setAttribute("aria-current", "step");
      row.addEventListener("click", () => { play(false); show(1, stop, i); });
      rows.push(element("li", {}, row));
    }
    list.replaceChildren(...rows);
    by("lineshead").textContent = `${rows.length} ${rows.length === 1 ? "line" : "lines"} of ${units[now.unit].title}, ${now.phase}`;
    const lit = list.querySelector(".lit");
    if (lit) list.scrollTop = lit.offsetTop - list.offsetTop - list.clientHeight / 2;
  }

  // ---- buttons, keys, slider, panes

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => { if (place() < count() - 1) move(1); else play(false); }, [1600, 900, 400][level]) : null;
    by("play").textContent = on ? "pause" : "play";
  }
  const moves = { first: () => go(0), back: () => move(-1), next: () => move(1), last: () => go(count() - 1) };
  for (const [id, act] of Object.entries(moves)) by(id).addEventListener("click", () => { play(false); act(); });
  by("play").addEventListener("click", () => { if (!timer && place() === count() - 1) go(0); play(!timer); });
  by("calls").addEventListener("click", () => { play(false); show(0, stop); });
  by("lines").addEventListener("click", () => { play(false); if (level === 0) open(); else show(1, stop, event); });
  by("scalars").addEventListener("click", () => { play(false); if (level === 1) open(); });
  const turn = stops.findIndex((s, k) => s.phase === "backward" && loud.includes(k));
  by("sweep").hidden = turn < 0;
  by("sweep").addEventListener("click", () => { play(false); show(0, turn); });
  slider.addEventListener("input", () => { play(false); go(Number(slider.value) - 1); });
  const zooms = zoomable(by("work"), [[by("out"), -1], [by("in"), 1]], (size) => { zoom = size; body(stops[stop], units[stops[stop].unit], events[event], stops[stop].phase === "backward"); if (level === 2) pointAt(scalar); });
  draggable(by("work"));
  draggable(by("map"));
  divider(by("leftbar"), by("map"), 1, 120, 700);
  divider(by("rightbar"), by("equation"), -1, 160, 700);
  document.addEventListener("keydown", (key) => {
    if (key.altKey || key.ctrlKey || key.metaKey || key.target.closest("select, input:not([type=range])")) return;
    const arrows = { ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last" }, button = key.target.closest("button, summary");
    if (key.shiftKey && picture && arrows[key.key]) picture.move(key.key === "ArrowLeft" ? -1 : 1);
    else if (arrows[key.key]) { play(false); moves[arrows[key.key]](); }
    else if (key.key === " " && !button) by("play").click();
    else if (key.key === "Enter" && !button || key.key === "ArrowDown") { play(false); open(); }
    else if (key.key === "Escape" || key.key === "ArrowUp") { play(false); close(); }
    else if (key.key === "b" && turn >= 0) { play(false); show(0, turn); }
    else if (key.key === "/") by("search").focus();
    else if ("+-0".includes(key.key)) zooms({ "+": 1, "-": -1, 0: 0 }[key.key]);
    else return;
    key.preventDefault();
  });
  onTheme(() => zooms(0));
  const from = stopOf[trace.position - 1];
  const first = trace.position <= 1 ? loud[0] : loud.includes(from) ? from : loud.find((k) => k > from);
  stop = -1;
  show(0, first === undefined ? loud[loud.length - 1] : first);
  document.body.dataset.ready = "yes";
}

start();
