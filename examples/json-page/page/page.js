const out = document.getElementById('out');
const ws = new WebSocket(location.origin.replace('http', 'ws') + '/house', 'ZWSJSON1.0');
ws.onopen = () => ws.send(JSON.stringify({ op: 'login', user: 'ann', password: 'garden' }));
ws.onmessage = ({ data }) => {
  const got = JSON.parse(data);
  if (got.op === 'ready') ws.send(JSON.stringify({ op: 'subscribe', topic: 'house/ann/' }));
  if (got.op === 'message') out.textContent = got.frames.join('  ');
  if (got.op === 'lost') out.textContent += `\n${got.count} messages were dropped`;
};
ws.onclose = ({ code, reason }) => { out.textContent = `closed: ${code} ${reason}`; };
