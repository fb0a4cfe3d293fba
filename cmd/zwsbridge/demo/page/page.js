// A portal for two houses. It asks for both, whoever logs in: what a resident may not see
// or do, the bridge refuses, and the page says so.
import { plain, Sub } from './zws.js';
import { House } from './house.js';
import { explain } from './words.js';

const $ = (id) => document.getElementById(id);
const residents = ['ann', 'bob'];

let houses = []; // while somebody is logged in

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { user, password } = Object.fromEntries(new FormData(event.target));
  busy(true);
  tell('');
  // One try with the password first, so that a wrong one is told here and once.
  const probe = new Sub();
  try {
    const login = plain(user, password);
    await probe.connect('/devices', { login });
    enter(user, login);
  } catch (refusal) {
    tell(refusal.code ? explain(refusal) : refusal.message);
  }
  probe.close();
  busy(false);
});

$('logout').addEventListener('submit', (event) => {
  event.preventDefault();
  leave('');
});

function enter(user, login) {
  const own = [...residents].sort((a, b) => (b === user) - (a === user));
  houses = own.map((name) => new House(name, { login, own: name === user, ended: leave }));
  $('live').replaceChildren(...houses.map((house) => house.element));
  $('who').textContent = user;
  for (const name of residents) $(`rights-${name}`).classList.toggle('you', name === user);
  show(true);
  $('main').focus({ preventScroll: true });
}

// leave ends everything, for a reason if it was not the resident who wanted it.
function leave(reason) {
  houses.forEach((house) => house.close());
  houses = [];
  $('live').replaceChildren();
  for (const name of residents) $(`rights-${name}`).classList.remove('you');
  show(false);
  tell(reason);
  $('user').focus();
}

function show(inside) {
  $('login').hidden = inside;
  $('logout').hidden = $('live').hidden = !inside;
  if (inside) $('password').value = '';
}

function tell(text) {
  $('notice').textContent = text;
  $('notice').hidden = !text;
}

function busy(on) {
  const button = $('login').querySelector('button');
  button.disabled = on;
  button.textContent = on ? 'Logging in …' : 'Log in';
}
