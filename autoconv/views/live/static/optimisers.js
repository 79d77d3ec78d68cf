// The optimisers, as in autoconv/optim/methods.py: p the parameter, g its gradient, s its slots, t the step from 1.
// Slots are kept in the parameter's dtype, float16 ones in float32.

const OPTIMISERS = {
  sgd(p, g, s, t, o) {
    const share = t === 1 || !s.momentum_buffer ? 1 : 1 - o.dampening, m = o.momentum;
    const b = m ? (s.momentum_buffer ||= new p.constructor(p.length)) : null;
    for (let i = 0; i < p.length; i++) {
      let d = g[i] + o.weight_decay * p[i];
      if (m) {
        b[i] = m * b[i] + share * d;
        d = o.nesterov ? d + m * b[i] : b[i];
      }
      p[i] -= o.lr * d;
    }
  },
  adam(p, g, s, t, o) {
    const [beta1, beta2] = o.betas, inside = o.decoupled ? 0 : o.weight_decay;
    const kept = o.decoupled ? 1 - o.lr * o.weight_decay : 1;
    const rate = o.lr / (1 - beta1 ** t), root = Math.sqrt(1 - beta2 ** t);
    const m = (s.exp_avg ||= new p.constructor(p.length)), v = (s.exp_avg_sq ||= new p.constructor(p.length));
    for (let i = 0; i < p.length; i++) {
      const d = g[i] + inside * p[i];
      m[i] += (1 - beta1) * (d - m[i]);
      v[i] = beta2 * v[i] + (1 - beta2) * d * d;
      p[i] = kept * p[i] - rate * m[i] / (Math.sqrt(v[i]) / root + o.eps);
    }
  },
  rmsprop(p, g, s, t, o) {
    const v = (s.square_avg ||= new p.constructor(p.length)), m = o.momentum;
    const a = o.centered ? (s.grad_avg ||= new p.constructor(p.length)) : null;
    const b = m ? (s.momentum_buffer ||= new p.constructor(p.length)) : null;
    for (let i = 0; i < p.length; i++) {
      let d = g[i] + o.weight_decay * p[i];
      v[i] = o.alpha * v[i] + (1 - o.alpha) * d * d;
      if (a) a[i] += (1 - o.alpha) * (d - a[i]);
      d /= Math.sqrt(a ? Math.max(v[i] - a[i] * a[i], 0) : v[i]) + o.eps;
      if (m) d = b[i] = m * b[i] + d;
      p[i] -= o.lr * d;
    }
  },
  adagrad(p, g, s, t, o) {
    const sum = (s.sum ||= new p.constructor(p.length).fill(o.initial_accumulator_value));
    const rate = o.lr / (1 + (t - 1) * o.lr_decay);
    for (let i = 0; i < p.length; i++) {
      const d = g[i] + o.weight_decay * p[i];
      sum[i] += d * d;
      p[i] -= rate * d / (Math.sqrt(sum[i]) + o.eps);
    }
  },
};
