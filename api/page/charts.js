// Small charts as SVG. No styles inline: the page's policy forbids them.

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// nice is the end of an axis: 1, 2 or 5 times a power of ten.
export function nice(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most);
}

const width = 480, height = 170, left = 58, bottom = 20, top = 8, right = 6;

// overTime draws series over the last seconds. stacked: areas on one another, otherwise lines. A value that is null has no point.
export function overTime({ seconds, series, stacked, unit, label }) {
  const n = seconds.length;
  const sums = seconds.map((_, i) => (stacked ? series.reduce((sum, s) => sum + s.values[i], 0) : Math.max(...series.map((s) => s.values[i] ?? 0))));
  const end = nice(Math.max(...sums, 0));
  const x = (i) => left + ((width - left - right) * (i + 0.5)) / Math.max(n, 1);
  const y = (v) => height - bottom - ((height - bottom - top) * v) / end;
  const plot = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label });
  for (const part of [0, 0.5, 1]) {
    plot.append(svg('line', { class: 'grid', x1: left, x2: width - right, y1: y(part * end), y2: y(part * end) }),
      svg('text', { x: left - 6, y: y(part * end) + 4, 'text-anchor': 'end' }, format(part * end) + (part === 1 && unit ? ' ' + unit : '')));
  }
  if (n > 0) {
    plot.append(svg('text', { x: left, y: height - 5 }, clock(seconds[0])), svg('text', { x: width - right, y: height - 5, 'text-anchor': 'end' }, clock(seconds[n - 1])));
  }
  const below = new Array(n).fill(0);
  for (const s of series) {
    if (stacked) {
      const up = s.values.map((v, i) => `${x(i).toFixed(1)},${y(below[i] + v).toFixed(1)}`);
      const down = below.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).reverse();
      if (n > 0) plot.append(svg('polygon', { class: s.name, points: [...up, ...down].join(' ') }));
      s.values.forEach((v, i) => { below[i] += v; });
      continue;
    }
    let path = '', pen = 'M';
    s.values.forEach((v, i) => {
      if (v == null) { pen = 'M'; return; }
      path += `${pen}${x(i).toFixed(1)},${y(v).toFixed(1)}`;
      pen = 'L';
    });
    if (path) plot.append(svg('path', { class: 'line ' + s.name, d: path }));
  }
  return plot;
}

// histogram draws the shares of a profile's bins, filled, and those of now, in outline.
export function histogram(bins, { small, label }) {
  const w = small ? 170 : 640, h = small ? 30 : 180, foot = small ? 1 : 34, side = small ? 0 : 40;
  const most = Math.max(...bins.map((b) => Math.max(b.reference_share, b.current_share ?? 0)), 0.0001);
  const end = small ? most : nice(most);
  const each = (w - side) / bins.length;
  const tall = (v) => ((h - foot - (small ? 1 : 10)) * v) / end;
  const plot = svg('svg', { viewBox: `0 0 ${w} ${h}`, role: 'img', 'aria-label': label });
  if (!small) {
    for (const part of [0, 0.5, 1]) {
      const y = h - foot - tall(part * end);
      plot.append(svg('line', { class: 'grid', x1: side, x2: w, y1: y, y2: y }), svg('text', { x: side - 5, y: y + 4, 'text-anchor': 'end' }, format(100 * part * end) + ' %'));
    }
  }
  bins.forEach((b, i) => {
    const at = side + i * each, name = svg('title', {}, `${b.range || b.bin}: ${percent(b.reference_share)} in the profile, ${percent(b.current_share)} now`);
    plot.append(svg('rect', { class: 'bar-reference', x: at + each * 0.08, width: each * 0.84, y: h - foot - tall(b.reference_share), height: tall(b.reference_share) }, name));
    if (b.current_share != null) {
      plot.append(svg('rect', { class: 'bar-current', x: at + each * 0.16, width: each * 0.68, y: h - foot - tall(b.current_share), height: tall(b.current_share) }));
    }
    if (!small && bins.length <= 26) {
      const text = b.bin.length > 9 ? b.bin.slice(0, 8) + '…' : b.bin;
      plot.append(bins.length <= 12 ? svg('text', { x: at + each / 2, y: h - foot + 14, 'text-anchor': 'middle' }, text)
        : svg('text', { x: at + each / 2, y: h - foot + 10, 'text-anchor': 'end', transform: `rotate(-40 ${at + each / 2} ${h - foot + 10})` }, text));
    }
  });
  return plot;
}

export function format(v) {
  if (v == null || Number.isNaN(v)) return '–';
  const size = Math.abs(v);
  if (size >= 1e6) return (v / 1e6).toFixed(size >= 1e7 ? 0 : 1) + ' M';
  if (size >= 1e4) return (v / 1e3).toFixed(size >= 1e5 ? 0 : 1) + ' k';
  if (size >= 100 || Number.isInteger(v)) return v.toFixed(0);
  return String(Number(v.toPrecision(3)));
}

export const percent = (v) => (v == null || Number.isNaN(v) ? '–' : format(100 * v) + ' %');
export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
