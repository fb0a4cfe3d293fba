import { connect } from './client.js';

const $ = (id) => document.getElementById(id);
const text = (frame) => new TextDecoder().decode(frame);
const base = location.origin.replace(/^http/, 'ws');

// Who is logged in; null while nobody is.
let session = null;

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { user, password, topic } = Object.fromEntries(new FormData(event.target));
  busy(event.target, true);
  try {
    const devices = await connect(`${base}/devices`, {
      user, password, socketType: 'SUB', onmessage: show, onclose: leave,
    });
    session = { user, password, devices };
    devices.subscribe(topic === 'all' ? 'house/' : `house/${user}/`);
    event.target.elements.password.value = '';
    say(`Logged in as ${user}.`);
  } catch (refusal) {
    say(refusal.message, true);
  }
  busy(event.target, false);
  render();
});

$('logout').addEventListener('submit', (event) => {
  event.preventDefault();
  session.devices.close();
});

$('command').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { house, room, target } = Object.fromEntries(new FormData(event.target));
  const { user, password } = session;
  busy(event.target, true);
  try {
    say(await request(`${base}/house/${house}`, user, password, ['target', room, target]));
  } catch (refusal) {
    say(refusal.message, true);
  }
  busy(event.target, false);
});

// request sends one request on a connection of its own and resolves to the reply's text.
function request(url, user, password, frames) {
  return new Promise((resolve, reject) => {
    let connection;
    // The empty delimiter of 28/REQREP stands first, both ways.
    const onmessage = ([, ...reply]) => {
      resolve(reply.map(text).join(' '));
      connection.close();
    };
    connect(url, { user, password, socketType: 'REQ', onmessage, onclose: reject }).then((c) => {
      connection = c;
      connection.send('', ...frames);
    }, reject);
  });
}

// show puts what was published on the page: topic, value.
function show([topic, value]) {
  const [, house, room] = text(topic).split('/');
  const id = `room-${house}-${room}`;
  if (!$(id)) {
    const card = element('div', 'room', '');
    card.id = id;
    card.append(element('div', 'name', `${house}, ${room}`), element('div', 'value', ''));
    $('rooms').insertBefore(card, [...$('rooms').children].find((other) => other.id > id) ?? null);
  }
  $(id).lastChild.textContent = `${text(value)} °C`;
}

function element(name, className, content) {
  const e = document.createElement(name);
  e.className = className;
  e.textContent = content;
  return e;
}

function leave(closed) {
  session = null;
  if (closed.code === 1000) say('Logged out.');
  else say(closed.message, true);
  render();
}

function render() {
  $('login').hidden = !!session;
  $('logout').hidden = $('live').hidden = !session;
  $('who').textContent = session ? session.user : '';
  if (!session) $('rooms').replaceChildren();
}

function say(message, bad = false) {
  $('notice').hidden = false;
  $('notice').textContent = message;
  $('notice').classList.toggle('bad', bad);
}

function busy(form, on) {
  form.querySelector('button').disabled = on;
}
