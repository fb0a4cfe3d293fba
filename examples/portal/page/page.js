import { plain, Req, Sub } from '/zws.js';

const $ = (selector) => document.querySelector(selector);
const say = (text) => { $('[role=status]').textContent = text; };

$('#login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = Object.fromEntries(new FormData(event.target));
  const user = form.user.trim().toLowerCase(); // phones write "Alice "
  const login = plain(user, form.password);
  // '' is the oldest reading that the bridge keeps, so that the curves begin with the last minutes.
  const devices = new Sub({ login, history: true, position: '' });
  devices.events.on('disconnect', ({ code, reason }) => { refused(`${code} ${reason}`); say('trying again …'); old(true); });
  devices.events.on('recovered', () => { say('connected again'); old(false); });
  devices.subscribe(`house/${user}/`);
  say('connecting …');
  try {
    await devices.connect('/devices');
    say('connected');
    $('#login').hidden = true;
    $('dl').innerHTML = '<dd class="waiting"></dd>';
    control(login);
    for await (const [topic, value] of devices) show(String(topic), String(value));
  } catch (refusal) {
    say(refusal.message); // code and reason, as "4400 login refused"
    refused(refusal.message);
  }
});

// ---- Readings, with a curve of the last minutes -----------------------------------------

const curves = new Map(); // by topic

function show(topic, value) {
  if (!curves.has(topic)) {
    $('.waiting')?.remove();
    const name = document.createElement('dt'), line = document.createElement('dd');
    name.textContent = topic;
    line.innerHTML = '<span></span><svg viewBox="0 0 100 20" preserveAspectRatio="none"><polyline/></svg>';
    $('dl').append(name, line);
    curves.set(topic, { line, values: [] });
  }
  const { line, values } = curves.get(topic);
  line.firstChild.textContent = value;
  values.splice(0, values.length - 119);
  values.push(Number(value));
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  const points = values.map((v, i) => `${i * 100 / Math.max(values.length - 1, 1)},${19 - (v - low) / span * 18}`);
  line.querySelector('polyline').setAttribute('points', points.join(' '));
}

const old = (on) => $('dl').classList.toggle('old', on);

// ---- A control, which looks so if it is not permitted -----------------------------------

async function control(login) {
  const commands = new Req({ login });
  $('#light').hidden = false;
  $('#light').addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      const answer = await commands.request(['light', event.submitter.value], { timeout: 5000 });
      $('output').textContent = answer.text();
    } catch (failure) {
      refused(failure.message); // also that no answer has come in time
    }
  });
  try {
    await commands.connect('/commands');
  } catch (refusal) {
    for (const button of document.querySelectorAll('#light button')) button.disabled = true;
    $('output').textContent = 'not permitted';
    refused(refusal.message);
  }
}

// ---- What the bridge has refused --------------------------------------------------------

function refused(text) {
  const item = document.createElement('li');
  item.textContent = `${new Date().toLocaleTimeString()} ${text}`;
  $('h2').hidden = false;
  $('ul').prepend(item);
}
