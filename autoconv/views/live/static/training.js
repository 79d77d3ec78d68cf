// Training in the page: the optimiser's steps on the page's own examples, the curve of the loss, and held-out answers.

class Training {
  constructor(page, view) {
    Object.assign(this, { page, view, losses: [], running: false });
    if (!page.train) return;
    const find = id => document.getElementById(id);
    find('training').hidden = false;
    this.play = find('play');
    this.lr = find('lr');
    this.rate = find('rate');
    this.curve = find('curve');
    this.says = find('trained');
    this.lr.value = Math.log10(page.train.settings.lr || 1e-3);
    this.exact = page.train.settings.lr;
    const told = () => { this.rate.textContent = short(this.learningRate()); };
    this.lr.addEventListener('input', () => { this.exact = null; told(); });
    told();
    this.play.addEventListener('click', () => { if (this.running) this.stop(); else this.run(Infinity); });
    find('once').addEventListener('click', () => this.run(1));
    find('test').addEventListener('click', () => this.test());
    find('fresh').addEventListener('click', () => this.fresh());
    find('test').hidden = !page.examples || page.logits == null;
    this.draw();
  }
  learningRate() { return this.exact ?? 10 ** Number(this.lr.value); }

  // count steps, as many at a time as fit between two pictures; resolves when they are done
  async run(count) {
    if (this.running) return;
    this.running = true;
    this.play.textContent = '❚❚ Pause';
    this.view.remember();
    for (let done = 0; done < count && this.running;) {
      const start = performance.now();
      do {
        this.losses.push(await this.view.ask('train', { lr: this.learningRate() }));
        done++;
      } while (done < count && this.running && performance.now() - start < 40);
      await this.view.refresh();
      this.draw();
      await new Promise(next => (document.hidden ? setTimeout(next, 0) : requestAnimationFrame(next)));
    }
    this.stop();
    this.view.finish();
  }
  stop() {
    this.running = false;
    this.play.textContent = '▶ Train';
  }
  // Weights as before any training: He's uniform ones, biases 0 (and scales 1).
  fresh() {
    const { page, view } = this;
    this.forget();
    view.ask('restart');
    for (const k of page.train.params) {
      const { shape, name } = page.nodes[k], n = product(shape), bound = Math.sqrt(6 / Math.max(1, n / shape[shape.length - 1]));
      const value = shape.length > 1 ? () => (2 * Math.random() - 1) * bound : () => (/weight|scale|gamma/.test(name) ? 1 : 0);
      view.edit(k, null, Array.from({ length: n }, value), false);
    }
    view.finish();
  }
  // The losses of a training elsewhere, in Python.
  follow(losses) {
    this.losses = losses.map(v => (v === null ? NaN : v));
    this.elsewhere = true;
    const find = id => document.getElementById(id);
    find('training').hidden = !losses.length && !this.page.train;
    if (!this.page.train) { // there is nothing to press
      this.curve = find('curve');
      this.says = find('trained');
      for (const part of find('training').querySelectorAll('.bar, label')) part.hidden = true;
    }
    this.draw();
  }
  forget() {
    this.elsewhere = false;
    if (!this.page.train) return;
    this.stop();
    this.losses = [];
    this.draw();
  }

  draw() {
    if (!this.page.train && !this.elsewhere) return;
    const { curve, losses } = this, ratio = Math.min(3, devicePixelRatio || 1), width = curve.clientWidth || 240, height = 90, p = palette();
    curve.width = width * ratio;
    curve.height = height * ratio;
    const g = curve.getContext('2d');
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    g.font = '11px system-ui, sans-serif';
    g.strokeStyle = css(p.line);
    g.strokeRect(0.5, 0.5, width - 1, height - 1);
    if (!losses.length) {
      this.says.textContent = !this.page.train ? '' : `${this.page.train.kind} on ${this.page.train.count} examples, ${this.page.train.batch} a step.`;
      return;
    }
    const most = largest(losses) || 1, n = losses.length, each = Math.max(1, Math.floor(n / 400));
    const y = v => height - 4 - (height - 8) * Math.min(1, Math.max(0, v / most));
    const path = (colour, wide, value) => {
      g.strokeStyle = css(colour);
      g.lineWidth = wide;
      g.beginPath();
      for (let k = 0; k < n; k += each) g.lineTo(2 + (width - 4) * (n > 1 ? k / (n - 1) : 0.5), y(value(k)));
      g.stroke();
    };
    let mean = losses[0];
    const smooth = losses.map(v => (mean = mean * 0.85 + v * 0.15));
    path(mix(p.plus, p.page, 0.6), 1, k => losses[k]);
    path(p.plus, 2, k => smooth[k]);
    g.fillStyle = css(p.soft);
    g.fillText(short(most), 5, 13);
    this.says.textContent = `Step ${n}: loss ${short(losses[n - 1])}, about ${short(smooth[n - 1])} over the last steps.`;
  }

  async test() {
    const right = await this.view.ask('test');
    this.says.textContent = `${right.right} of ${right.count} examples read correctly (${(100 * right.right / right.count).toFixed(1)} %).`;
  }
}
