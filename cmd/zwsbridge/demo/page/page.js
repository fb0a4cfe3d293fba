// A portal for two houses. It asks for both, no matter who logs in: the bridge refuses what
// the user has no right to, and the page shows the reason.
import { plain, Sub } from './zws.js';
import { House } from './house.js';
import { explain } from './words.js';

const $ = (id) => document.getElementById(id);
const residents = ['ann', 'bob'];

let houses = []; // empty while nobody is logged in

$('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { user: typed, password } = Object.fromEntries(new FormData(event.target));
  const user = residents.find((name) => name === typed.trim().toLowerCase()) ?? typed; // phones write "Ann "
  setBusy(true);
  setNotice('');
  // Connect once before the houses are shown, so that a wrong password is reported only once.
  const probe = new Sub();
  try {
    const login = plain(user, password);
    await probe.connect('/devices', { login });
    enter(user, login);
  } catch (error) {
    setNotice(error.code ? explain(error) : error.message);
  }
  probe.close();
  setBusy(false);
});

$('logout').addEventListener('submit', (event) => {
  event.preventDefault();
  leave('');
});

function enter(user, login) {
  const ownFirst = [...residents].sort((a, b) => (b === user) - (a === user));
  houses = ownFirst.map((name) => new House(name, { login, own: name === user, onEnd: leave }));
  $('live').replaceChildren(...houses.map((house) => house.element));
  $('who').textContent = user;
  for (const name of residents) $(`rights-${name}`).classList.toggle('you', name === user);
  showHouses(true);
  $('main').focus({ preventScroll: true });
}

/** Closes everything and shows the login form; reason is empty if the user has logged out. */
function leave(reason) {
  houses.forEach((house) => house.close());
  houses = [];
  $('live').replaceChildren();
  for (const name of residents) $(`rights-${name}`).classList.remove('you');
  showHouses(false);
  setNotice(reason);
  $('user').focus();
}

function showHouses(on) {
  $('login').hidden = on;
  $('logout').hidden = $('live').hidden = !on;
  if (on) $('password').value = '';
}

function setNotice(text) {
  $('notice').textContent = text;
  $('notice').hidden = !text;
}

function setBusy(on) {
  const button = $('login').querySelector('button');
  button.disabled = on;
  button.textContent = on ? 'Logging in …' : 'Log in';
}
