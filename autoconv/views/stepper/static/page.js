// The page: which step is shown, and the buttons, keys and slider that change it.

async function start() {
  const trace = JSON.parse(document.getElementById("trace").textContent);
  unpack(trace, await inflate(trace.packed));
  const by = (id) => document.getElementById(id);
  const slider = by("slider"), events = trace.events, chosen = new Map();
  let step = 0, timer = null, picture = null;
  slider.max = events.length;

  const figureOf = new Map();
  (trace.pictures || []).forEach((about) => about.lines.forEach((line) => { figureOf.set(line, about); }));
  const light = trace.kind === "walk" ? drawGraph(trace, by("graph"), (box) => {
    const found = events.findIndex((event, i) => i + 1 > step && trace.graph.owner[event.line] === box);
    const wrapped = found >= 0 ? found : events.findIndex((event) => trace.graph.owner[event.line] === box);
    if (wrapped >= 0) show(wrapped + 1);
  }) : drawCurve(trace, by("graph"), (number) => show(number));

  const outline = trace.outline || [], jump = by("jump"), sweep = outline.find(([phase]) => phase === "sweep");
  for (const phase of ["forward", "backward"]) {
    const rows = outline.filter(([of]) => of === phase);
    if (rows.length) jump.append(element("optgroup", { label: phase }, ...rows.map(([, depth, name, at]) =>
      element("option", { value: at }, "\u00a0\u00a0".repeat(depth - 1) + name))));
  }
  jump.hidden = !jump.querySelector("option[value]:not([value=''])");
  by("sweep").hidden = !sweep;
  jump.addEventListener("change", () => { play(false); if (jump.value) show(Number(jump.value)); jump.blur(); });
  by("sweep").addEventListener("click", () => { play(false); show(sweep[3]); });

  function show(number) {
    step = Math.min(Math.max(1, number), events.length);
    const event = events[step - 1];
    slider.value = step;
    document.body.dataset.step = step;
    by("count").textContent = `${step} / ${events.length}`;
    by("says").textContent = trace.texts[event.says];
    const where = trace.where ? trace.texts[trace.where[event.line]] : "";
    by("where").textContent = where && `${event.kind === "forward" || event.kind === "input" ? "forward" : "backward"} in ${where}`;
    const way = ["input", "forward"].includes(event.kind) ? "forward" : "backward";
    const at = outline.filter(([phase, , , first]) => phase === way && first <= step).pop();
    jump.value = at && where ? String(at[3]) : "";
    for (const [id, off] of [["first", step === 1], ["back", step === 1], ["next", step === events.length], ["last", step === events.length]])
      by(id).disabled = off;
    by("math").innerHTML = event.math === undefined ? "" : trace.texts[event.math];
    if (event.local !== undefined) by("math").insertAdjacentHTML("beforeend", trace.texts[event.local]);
    const opened = event.opens || [];
    by("opens").hidden = !opened.length;
    by("opened").replaceChildren(...opened.map(([says, math]) => {
      const part = element("div", {}, element("div", { class: "soft" }, trace.texts[says]));
      part.insertAdjacentHTML("beforeend", trace.texts[math]);
      return part;
    }));
    const known = new Set();
    if (trace.graph) for (const e of events.slice(0, step)) known.add(trace.graph.owner[e.target]);
    light(event, known, step);
    by("grids").replaceChildren(...event.grids.map(([role, title, array]) => tensorFigure(trace.arrays[array], trace.texts[title], role, chosen)));
    const about = figureOf.get(event.line);
    const backward = !["input", "forward"].includes(event.kind);
    by("picture").hidden = !about;
    if (about && (picture === null || picture.about !== about || picture.backward !== backward)) {
      picture = drawPicture(trace, about, backward, by("picture"));
    }
    by("note").textContent = [trace.note, trace.rounded ? "Numbers in this page are rounded to four digits." : ""].filter(Boolean).join(". ");
  }

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => { if (step < events.length) show(step + 1); else play(false); }, trace.kind === "walk" ? 900 : 150) : null;
    by("play").textContent = on ? "pause" : "play";
  }

  const moves = { first: () => show(1), back: () => show(step - 1), next: () => show(step + 1), last: () => show(events.length) };
  for (const [id, move] of Object.entries(moves)) by(id).addEventListener("click", () => { play(false); move(); });
  by("play").addEventListener("click", () => { if (!timer && step === events.length) show(1); play(!timer); });
  slider.addEventListener("input", () => { play(false); show(Number(slider.value)); });
  document.addEventListener("keydown", (key) => {
    if (key.altKey || key.ctrlKey || key.metaKey || key.target.tagName === "SELECT") return;
    const arrows = { ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last" };
    if (key.shiftKey && picture && !by("picture").hidden && arrows[key.key]) picture.move(key.key === "ArrowLeft" ? -1 : 1);
    else if (arrows[key.key]) { play(false); moves[arrows[key.key]](); }
    else if (key.key === " " && key.target.tagName !== "BUTTON" && key.target.tagName !== "SUMMARY") by("play").click();
    else return;
    key.preventDefault();
  });
  show(trace.position);
  document.body.dataset.ready = "yes";
}

start();
