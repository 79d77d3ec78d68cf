// A training run, record by record: the loss curve, and weights and gradients as pictures.

async function start() {
  const trace = JSON.parse(document.getElementById("trace").textContent);
  unpack(trace, await inflate(trace.packed));
  const by = (id) => document.getElementById(id);
  const slider = by("slider"), { events, texts } = trace;
  let step = 0, timer = null;
  slider.max = events.length;
  const light = drawCurve(trace, by("graph"), (number) => show(number));

  function show(number) {
    step = Math.min(Math.max(1, number), events.length);
    const event = events[step - 1];
    slider.value = step;
    document.body.dataset.step = step;
    by("count").textContent = `${step} / ${events.length}`;
    by("says").textContent = texts[event.says];
    for (const [id, off] of [["first", step === 1], ["back", step === 1], ["next", step === events.length], ["last", step === events.length]])
      by(id).disabled = off;
    light(event, null, step);
    by("grids").replaceChildren(...event.grids.map(([role, title, number]) => {
      const array = trace.arrays[number], name = texts[title];
      return tensorFigure(array, name, role, { hover: (i) => { by("readout").textContent = `${name}${where(array, i)} = ${short(array.get(i))}`; } });
    }));
    by("note").textContent = trace.rounded ? "Numbers in this page are rounded to four digits." : "";
  }
  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => { if (step < events.length) show(step + 1); else play(false); }, 150) : null;
    by("play").textContent = on ? "pause" : "play";
  }
  const moves = { first: () => show(1), back: () => show(step - 1), next: () => show(step + 1), last: () => show(events.length) };
  for (const [id, move] of Object.entries(moves)) by(id).addEventListener("click", () => { play(false); move(); });
  by("play").addEventListener("click", () => { if (!timer && step === events.length) show(1); play(!timer); });
  slider.addEventListener("input", () => { play(false); show(Number(slider.value)); });
  document.addEventListener("keydown", (key) => {
    if (key.altKey || key.ctrlKey || key.metaKey) return;
    const arrows = { ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last" };
    if (arrows[key.key]) { play(false); moves[arrows[key.key]](); }
    else if (key.key === " " && key.target.tagName !== "BUTTON") by("play").click();
    else return;
    key.preventDefault();
  });
  onTheme(() => show(step));
  show(trace.position);
  document.body.dataset.ready = "yes";
}

start();
