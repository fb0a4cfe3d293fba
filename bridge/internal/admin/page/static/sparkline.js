const svg = 'http://www.w3.org/2000/svg';
const width = 120, height = 28;

/** A line over the values, oldest at the left, that begins at zero. */
export function line(values) {
  const root = document.createElementNS(svg, 'svg');
  root.setAttribute('viewBox', `0 0 ${width} ${height}`);
  root.setAttribute('preserveAspectRatio', 'none');
  root.setAttribute('aria-hidden', 'true');
  if (values.length < 2) return root;
  const most = Math.max(...values, 1e-9);
  const at = (n, i) => `${(i / (values.length - 1) * width).toFixed(1)},${(height - 2 - n / most * (height - 4)).toFixed(1)}`;
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
