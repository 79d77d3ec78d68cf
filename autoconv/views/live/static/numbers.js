// Functions of one element that JavaScript has not, as NumPy and the C library define them.
'use strict';

function order(a, b) { // 1, 0 or -1 for a > b, a = b, a < b; a NaN wins over a number
  return a > b ? 1 : a < b ? -1 : a === b ? 0 : (a !== a ? 1 : 0) - (b !== b ? 1 : 0);
}
function slope(g, a, b, p) { // g times the number of the case, 0 where that is 0 whatever g is
  const o = p.nan === 'less' ? -order(-a, -b) : order(a, b), s = o > 0 ? p.more : o < 0 ? p.less : p.tie;
  return s === 0 ? 0 : g * s;
}
function sign(a, atZero) {
  return a > 0 ? 1 : a < 0 ? -1 : a === 0 ? atZero : a;
}
function remainder(a, b) { // of the sign of b
  const r = a % b;
  return r === 0 ? (b < 0 ? -0 : 0) : (r < 0) !== (b < 0) && r === r ? r + b : r;
}
function power(a, b) { // as in C, 1 to any power is 1, and -1 to an infinite one
  return a === 1 || (a === -1 && (b === Infinity || b === -Infinity)) ? 1 : Math.pow(a, b);
}
function logaddexp(a, b) {
  if (a === b) return a + Math.LN2;
  const d = a - b;
  return d > 0 ? a + Math.log1p(Math.exp(-d)) : d <= 0 ? b + Math.log1p(Math.exp(d)) : NaN;
}

// The error function as the C library of FreeBSD has it (fdlibm, s_erf.c, Sun Microsystems 1993): rational functions on
// four intervals, with errors below 1e-16.
function ratio(x, numerator, denominator) { // the polynomials from the highest power down
  let n = 0, d = 0;
  for (const c of numerator) n = n * x + c;
  for (const c of denominator) d = d * x + c;
  return n / d;
}
const ERF_NEAR_1 = 8.45062911510467529297e-01;
const ERF = [
  [[-2.37630166566501626084e-05, -5.77027029648944159157e-03, -2.84817495755985104766e-02, -3.25042107247001499370e-01,
    1.28379167095512558561e-01], [-3.96022827877536812320e-06, 1.32494738004321644526e-04, 5.08130628187576562776e-03,
    6.50222499887672944485e-02, 3.97917223959155352819e-01, 1]],
  [[-2.16637559486879084300e-03, 3.54783043256182359371e-02, -1.10894694282396677476e-01, 3.18346619901161753674e-01,
    -3.72207876035701323847e-01, 4.14856118683748331666e-01, -2.36211856075265944077e-03], [1.19844998467991074170e-02,
    1.36370839120290507362e-02, 1.26171219808761642112e-01, 7.18286544141962662868e-02, 5.40397917702171048937e-01,
    1.06420880400844228286e-01, 1]],
  [[-9.81432934416914548592e+00, -8.12874355063065934246e+01, -1.84605092906711035994e+02, -1.62396669462573470355e+02,
    -6.23753324503260060396e+01, -1.05586262253232909814e+01, -6.93858572707181764372e-01, -9.86494403484714822705e-03],
    [-6.04244152148580987438e-02, 6.57024977031928170135e+00, 1.08635005541779435134e+02, 4.29008140027567833386e+02,
    6.45387271733267880336e+02, 4.34565877475229228821e+02, 1.37657754143519042600e+02, 1.96512716674392571292e+01, 1]],
  [[-4.83519191608651397019e+02, -1.02509513161107724954e+03, -6.37566443368389627722e+02, -1.60636384855821916062e+02,
    -1.77579549177547519889e+01, -7.99283237680523006574e-01, -9.86494292470009928597e-03], [-2.24409524465858183362e+01,
    4.74528541206955367215e+02, 2.55305040643316442583e+03, 3.19985821950859553908e+03, 1.53672958608443695994e+03,
    3.25792512996573918826e+02, 3.03380607434824582924e+01, 1]],
];
function erf(x) {
  const a = Math.abs(x);
  return a < 0.84375 ? x + x * ratio(x * x, ...ERF[0]) : a < 6 ? Math.sign(x) * (1 - beyond(a)) : Math.sign(x);
}
function erfc(x) {
  const a = Math.abs(x);
  if (a < 0.84375) {
    const y = ratio(x * x, ...ERF[0]);
    return x < 0.25 ? 1 - (x + x * y) : 0.5 - (x - 0.5 + x * y);
  }
  return x !== x ? x : x > 0 ? beyond(a) : 2 - beyond(a);
}
function beyond(a) { // 1 - erf(a) for a >= 0.84375
  if (a < 1.25) return 1 - ERF_NEAR_1 - ratio(a - 1, ...ERF[1]);
  if (a > 28) return 0;
  const s = 1 / (a * a), z = Math.fround(a); // z * z has no rounding
  const r = ratio(s, ...(a < 1 / 0.35 ? ERF[2] : ERF[3])), head = Math.floor(z * 1024) / 1024;
  return Math.exp(-head * head - 0.5625) * Math.exp((head - a) * (head + a) + r) / a;
}
