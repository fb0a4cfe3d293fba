import { plain, Sub } from '/zws.js';

const say = (text) => { document.querySelector('[role=status]').textContent = text; };

document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { user, password } = Object.fromEntries(new FormData(event.target));
  const devices = new Sub({ login: plain(user, password) });
  devices.events.on('disconnect', ({ code, reason }) => say(`${code} ${reason}: trying again …`));
  devices.events.on('recovered', () => say('connected again'));
  devices.subscribe(`house/${user}/`);
  try {
    await devices.connect('/devices');
    say('connected');
    for await (const [topic, value] of devices) show(String(topic), String(value));
  } catch (refusal) {
    say(refusal.message); // code and reason, as "4400 login refused"
  }
});

const lines = new Map(); // by topic

function show(topic, value) {
  if (!lines.has(topic)) {
    const name = document.createElement('dt'), line = document.createElement('dd');
    name.textContent = topic;
    lines.set(topic, line);
    document.querySelector('dl').append(name, line);
  }
  lines.get(topic).textContent = value;
}
