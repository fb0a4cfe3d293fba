const svg = 'http://www.w3.org/2000/svg';
const width = 240, height = 48, least = 1; // °C that the height stands for at least

/** A line through the values, oldest at the left. */
export function line(values) {
  const root = document.createElementNS(svg, 'svg');
  root.setAttribute('viewBox', `0 0 ${width} ${height}`);
  root.setAttribute('preserveAspectRatio', 'none');
  root.setAttribute('role', 'img');
  root.setAttribute('aria-label', `from ${values[0]} to ${values.at(-1)} °C`);
  if (values.length < 2) return root;
  const low = Math.min(...values), range = Math.max(...values) - low, span = Math.max(range, least);
  const base = low - (span - range) / 2; // what hardly moves is drawn in the middle
  const at = (n, i) => `${(i / (values.length - 1) * width).toFixed(1)},${(height - 4 - (n - base) / span * (height - 8)).toFixed(1)}`;
  const points = values.map(at).join(' ');
  for (const [name, list, className] of [
    ['polygon', `0,${height} ${points} ${width},${height}`, 'area'],
    ['polyline', points, 'line'],
  ]) {
    const shape = document.createElementNS(svg, name);
    shape.setAttribute('points', list);
    shape.setAttribute('class', className);
    root.append(shape);
  }
  return root;
}
