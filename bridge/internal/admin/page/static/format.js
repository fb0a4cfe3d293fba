// Numbers, sizes and times as the admin page shows them.

export const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(n) {
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${number.format(n)} ${units[unit]}`;
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export const lag = (seconds) => seconds < 1 ? `${Math.round(seconds * 1000)} ms` : duration(seconds);
export const since = (time) => duration((Date.now() - new Date(time)) / 1000);
export const until = (time) => time ? `in ${duration((new Date(time) - Date.now()) / 1000)}` : 'never';
