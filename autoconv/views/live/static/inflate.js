// A zlib stream unpacked at once (RFC 1950 and 1951): the browser's own DecompressionStream has its answer only later,
// and a page is to be ready when it has been loaded.

const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const BACK = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577];
const BACK_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

function inflated(bytes, size) { // the bytes of a stream that unpacks to ``size`` of them
  const out = new Uint8Array(size);
  let at = 2, hold = 0, held = 0, to = 0; // behind the two bytes of the zlib header
  const need = n => { while (held < n) { hold |= bytes[at++] << held; held += 8; } };
  const take = n => {
    need(n);
    const v = hold & ((1 << n) - 1);
    hold >>>= n;
    held -= n;
    return v;
  };
  // All codes of up to ``most`` bits as a table: from the next bits to (symbol << 4 | length of its code).
  const table = lengths => {
    const most = Math.max(1, ...lengths), found = new Uint16Array(1 << most), count = new Array(17).fill(0), next = [0, 0];
    for (const n of lengths) if (n) count[n]++;
    for (let n = 1; n < 16; n++) next[n + 1] = (next[n] + count[n]) << 1;
    lengths.forEach((n, symbol) => {
      if (!n) return;
      let code = next[n]++, turned = 0;
      for (let i = 0; i < n; i++, code >>= 1) turned = (turned << 1) | (code & 1);
      for (let i = turned; i < found.length; i += 1 << n) found[i] = (symbol << 4) | n;
    });
    return { found, most, mask: (1 << most) - 1 };
  };
  const read = ({ found, most, mask }) => {
    need(most);
    const entry = found[hold & mask], n = entry & 15;
    hold >>>= n;
    held -= n;
    return entry >> 4;
  };
  const run = (n, v) => new Array(n).fill(v);
  const fixed = () => [table([...run(144, 8), ...run(112, 9), ...run(24, 7), ...run(8, 8)]), table(run(30, 5))];
  const written = () => { // the code lengths of a block, which are coded themselves
    const literals = take(5) + 257, distances = take(5) + 1, given = take(4) + 4, own = run(19, 0);
    for (let i = 0; i < given; i++) own[ORDER[i]] = take(3);
    const codes = table(own), lengths = [];
    while (lengths.length < literals + distances) {
      const symbol = read(codes);
      if (symbol < 16) lengths.push(symbol);
      else if (symbol === 16) lengths.push(...run(3 + take(2), lengths[lengths.length - 1]));
      else lengths.push(...run(symbol === 17 ? 3 + take(3) : 11 + take(7), 0));
    }
    return [table(lengths.slice(0, literals)), table(lengths.slice(literals))];
  };
  for (let last = 0; !last;) {
    last = take(1);
    const kind = take(2);
    if (kind === 0) { // as it is, from the next whole byte on
      at -= held >> 3;
      hold = held = 0;
      const n = bytes[at] | (bytes[at + 1] << 8);
      out.set(bytes.subarray(at + 4, at + 4 + n), to);
      at += 4 + n;
      to += n;
      continue;
    }
    const [literals, distances] = kind === 1 ? fixed() : written();
    for (let symbol = read(literals); symbol !== 256; symbol = read(literals)) {
      if (symbol < 256) { out[to++] = symbol; continue; }
      const length = LENGTHS[symbol - 257] + take(LENGTH_BITS[symbol - 257]), d = read(distances);
      const back = BACK[d] + take(BACK_BITS[d]);
      for (let i = 0; i < length; i++, to++) out[to] = out[to - back];
    }
  }
  return out;
}
