// A sparkline for the demo and the admin page.
// SPDX-License-Identifier: MPL-2.0

const svg = 'http://www.w3.org/2000/svg';
const width = 240, height = 48, margin = 3.5;

/**
 * Returns an SVG element with a line through the values, oldest at the left, and the area below it.
 * `low` and `high` are the values at the bottom and the top; by default the scale begins at zero and
 * ends at the largest value. `label` is the text for screen readers; without it they skip the drawing.
 */
export function sparkline(values, { low = 0, high = Math.max(...values, low + 1e-9), label } = {}) {
  const root = document.createElementNS(svg, 'svg');
  root.setAttribute('viewBox', `0 0 ${width} ${height}`);
  root.setAttribute('preserveAspectRatio', 'none');
  if (label) {
    root.setAttribute('role', 'img');
    root.setAttribute('aria-label', label);
  } else {
    root.setAttribute('aria-hidden', 'true');
  }
  if (values.length < 2) return root;
  const x = (i) => i / (values.length - 1) * width;
  const y = (value) => height - margin - (value - low) / (high - low) * (height - 2 * margin);
  const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
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
