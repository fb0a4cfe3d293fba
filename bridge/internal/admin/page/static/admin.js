// What an operator sees: asks the admin interface every other second and shows the answers.
// Rows are kept and changed, not made anew, so that focus and selection stay where they are.
import { loginFailure, meaning } from './codes.js';
import { sparkline } from './sparkline.js';
import { Table } from './table.js';

const interval = 2000; // ms between two looks
const kept = 60; // looks that the sparklines show
const most = 500; // rows of sessions: for more, there is the filter

const $ = (id) => document.getElementById(id);

// ---- Asking ---------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, options) {
  const answer = await fetch(path, { credentials: 'same-origin', ...options });
  if (!answer.ok) throw new Refused(answer.status, (await answer.text()).trim());
  return answer;
}

const get = async (path) => (await ask(path)).json();

const change = (path, body) => ask(path, {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
});

// ---- Words ----------------------------------------------------------------------------

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function octets(n) {
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${number.format(n)} ${units[unit]}`;
}

function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

const lag = (seconds) => seconds < 1 ? `${Math.round(seconds * 1000)} ms` : duration(seconds);
const since = (time) => duration((Date.now() - new Date(time)) / 1000);
const until = (time) => time ? `in ${duration((new Date(time) - Date.now()) / 1000)}` : 'never';

// ---- Tables ---------------------------------------------------------------------------

let may = false; // whether the operator may change things

const sessions = new Table($('sessions'), [
  { head: 'User', text: (s) => s.user || '(none)', name: true, long: true },
  { head: 'Route', text: (s) => s.route, long: true },
  { head: 'Dialect', text: (s) => s.dialect },
  { head: 'Mechanism', text: (s) => s.mechanism, note: (s) => s.relayed ? `then ${s.relayed}` : '' },
  { head: 'Address', text: (s) => s.address, long: true },
  { head: 'Connected', text: (s) => since(s.since), number: true },
  { head: 'Queue', text: (s) => number.format(s.queued_messages), note: (s) => s.queued_messages ? octets(s.queued_bytes) : '', number: true },
  { head: 'Lag', text: (s) => lag(s.lag_seconds), number: true, bad: (s) => s.lag_seconds >= 1 },
  { head: 'Dropped', text: (s) => number.format(s.dropped), number: true, bad: (s) => s.dropped > 0 },
  { head: 'Expires', text: (s) => until(s.expires), number: true },
  { head: '', button: 'End …', label: (s) => `End the session of ${s.user || 'nobody'} on ${s.route}`, press: confirmKick, shown: () => may },
], { key: (s) => s.session });

const tone = { ready: 'good', connecting: 'wait', unreachable: 'warn', refused: 'bad', gone: 'wait' };

let users = new Map(); // by the number of a session

const backends = new Table($('backends'), [
  { head: 'Route', text: (b) => b.route, name: true, long: true },
  { head: 'Backend', text: (b) => b.backend ? String(b.backend) : 'dialled in', number: true },
  { head: 'Address', text: (b) => b.address, long: true },
  { head: 'State', text: (b) => b.state, pill: (b) => tone[b.state] ?? 'wait' },
  { head: 'For', text: (b) => since(b.since), number: true },
  { head: 'Reconnects', text: (b) => number.format(b.reconnects), number: true, bad: (b) => b.reconnects > 0 },
  { head: 'Whose', text: (b) => b.session ? `${users.get(b.session) || '(none)'}, own` : b.user || 'shared', long: true },
  { head: 'Last error', text: (b) => b.error ?? '', long: true, faint: true },
], { key: (b) => `${b.route} ${b.session ?? 0} ${b.backend ?? 0} ${b.address}`, none: 'Backends are connected when clients come.' });

const routes = new Table($('routes'), [
  { head: 'Route', text: (r) => r.path, name: true, long: true },
  { head: 'Socket', text: (r) => r.socket },
  { head: 'Sessions', text: (r) => number.format(r.sessions), number: true },
  { head: 'In', text: (r) => `${number.format(r.in)} /s`, number: true },
  { head: 'Out', text: (r) => `${number.format(r.out)} /s`, number: true },
  { head: 'In, all', text: (r) => number.format(r.messages_in), note: (r) => octets(r.bytes_in), number: true },
  { head: 'Out, all', text: (r) => number.format(r.messages_out), note: (r) => octets(r.bytes_out), number: true },
  { head: 'Dropped', text: (r) => number.format(r.dropped), number: true, bad: (r) => r.dropped > 0 },
], { key: (r) => r.path, none: 'There are no routes.' });

const codeColumns = [
  { head: 'Code', text: (c) => c.code, name: true },
  { head: 'Meaning', text: (c) => meaning(c.code), long: true, faint: true },
  { head: 'Route', text: (c) => c.route === 'none' ? 'no route' : c.route, long: true },
  { head: 'Number', text: (c) => number.format(c.number), number: true },
];
const codeKey = (c) => `${c.route} ${c.code}`;
const refusals = new Table($('refusals'), codeColumns, { key: codeKey, none: 'Nobody was turned away.' });
const ends = new Table($('ends'), codeColumns, { key: codeKey, none: 'No session has ended.' });
const statusWords = { 200: 'let in', 300: 'no decision', 400: 'refused', 500: 'handler broken' };
const logins = new Table($('logins'), [
  { head: 'Authenticator', text: (l) => l.authenticator || '(none decided)', name: true, long: true },
  { head: 'Answer', text: (l) => `${l.status} ${statusWords[l.status] ?? ''}` },
  { head: 'Number', text: (l) => number.format(l.number), number: true },
], { key: (l) => `${l.authenticator} ${l.status}`, none: 'Nobody has tried yet.' });

// ---- Tiles ----------------------------------------------------------------------------

class Tile {
  constructor(title, show) {
    this.show = show;
    this.history = [];
    this.value = element('div', 'value');
    this.detail = element('div', 'detail');
    this.root = element('div', 'tile');
    this.graph = element('div', 'graph');
    this.root.append(element('h3', '', title), this.value, this.detail, this.graph);
    $('tiles').append(this.root);
  }

  update(n, detail, bad = false) {
    this.history = [...this.history, n].slice(-kept);
    this.value.textContent = this.show(n);
    this.detail.textContent = detail;
    this.root.classList.toggle('bad', bad);
    this.graph.replaceChildren(sparkline(this.history));
  }
}

const tiles = {
  connections: new Tile('Connections', number.format),
  sessions: new Tile('Sessions', number.format),
  incoming: new Tile('From clients', (n) => `${number.format(n)} /s`),
  outgoing: new Tile('To clients', (n) => `${number.format(n)} /s`),
  waiting: new Tile('Waiting for clients', number.format),
  dropped: new Tile('Dropped', (n) => `${number.format(n)} /s`),
};

function element(name, className, text = '') {
  const e = document.createElement(name);
  e.className = className;
  e.textContent = text;
  return e;
}

// ---- Looking --------------------------------------------------------------------------

let last = null; // the summary before, and when

// rates adds to every route what went over it a second since the last look.
function rates(summary, now) {
  const seconds = last ? (now - last.now) / 1000 : 0;
  const before = new Map(last?.summary.routes.map((r) => [r.path, r]));
  const rate = (r, field) => before.has(r.path) && seconds > 0
    ? Math.max(0, r[field] - before.get(r.path)[field]) / seconds : 0;
  return summary.routes.map((r) => ({
    ...r,
    in: rate(r, 'messages_in'), out: rate(r, 'messages_out'), lost: rate(r, 'dropped'),
    inOctets: rate(r, 'bytes_in'), outOctets: rate(r, 'bytes_out'),
  }));
}

const sum = (list, field) => list.reduce((n, x) => n + x[field], 0);

function show(summary, sessionList, backendList) {
  const now = performance.now(), list = rates(summary, now);
  last = { summary, now };
  may = summary.may === 'administrator';
  $('who').textContent = `${summary.operator || 'nobody'}${may ? '' : ' (may look only)'}`;
  const ready = backendList.filter((b) => b.state === 'ready').length;
  const behind = backendList.length ? `${ready} of ${backendList.length} backends ready` : 'no backends yet';
  say(`up ${since(summary.since)} · ${behind}`, ready < backendList.length ? 'warn' : 'good');

  tiles.connections.update(summary.connections, summary.max_connections ? `of ${number.format(summary.max_connections)}` : 'no limit');
  const people = new Set(sessionList.map((s) => s.user)).size;
  tiles.sessions.update(sessionList.length, people === 1 ? '1 user' : `${number.format(people)} users`);
  tiles.incoming.update(sum(list, 'in'), `${octets(sum(list, 'inOctets'))}/s`);
  tiles.outgoing.update(sum(list, 'out'), `${octets(sum(list, 'outOctets'))}/s`);
  tiles.waiting.update(sum(sessionList, 'queued_messages'), octets(sum(sessionList, 'queued_bytes')));
  tiles.dropped.update(sum(list, 'lost'), `${number.format(sum(list, 'dropped'))} in all`, sum(list, 'lost') > 0);

  const word = $('filter').value.trim().toLowerCase();
  const chosen = sessionList.filter((s) => `${s.user} ${s.route} ${s.address} ${s.dialect}`.toLowerCase().includes(word));
  $('n-sessions').textContent = (word ? `${number.format(chosen.length)} of ` : '') + number.format(sessionList.length)
    + (chosen.length > most ? `, the first ${most} are shown` : '');
  $('n-backends').textContent = backendList.length;
  users = new Map(sessionList.map((s) => [s.session, s.user]));
  sessions.none.textContent = word ? 'No session matches the filter.' : 'Nobody is connected.';
  sessions.show(chosen.slice(0, most));
  backends.show(backendList);
  routes.show(list);
  refusals.show(summary.refusals.sort((a, b) => b.number - a.number));
  ends.show(summary.ends.sort((a, b) => b.number - a.number));
  logins.show(summary.logins);
}

let timer = 0;

async function look() {
  clearTimeout(timer);
  try {
    show(...await Promise.all(['/summary', '/sessions', '/backends'].map(get)));
    $('live').classList.remove('old');
    enter(true);
  } catch (failure) {
    if (failure instanceof Refused && failure.status === 401) {
      if (!$('live').hidden) refuse('Your login has ended. Log in again.');
      return enter(false);
    }
    say(failure instanceof Refused ? failure.message : 'The bridge does not answer. Trying again …', 'bad');
    $('live').classList.add('old');
  }
  if (!document.hidden) timer = setTimeout(look, interval);
}

document.addEventListener('visibilitychange', () => { if (!document.hidden && !$('live').hidden) look(); });
$('filter').addEventListener('input', look);

function enter(inside) {
  if (inside && !$('live').hidden || !inside && !$('login').hidden) return;
  $('live').hidden = $('logout').hidden = !inside;
  $('login').hidden = inside;
  if (inside) {
    $('refused').hidden = $('elsewhere').hidden = true;
    $('main').focus({ preventScroll: true });
  } else {
    last = null;
    say('', '');
    focusLogin();
  }
}

const focusLogin = () => ($('by-provider').hidden ? $('token') : $('by-provider').querySelector('a')).focus();

function say(text, className) {
  if ($('state').textContent !== text) $('state').textContent = text;
  $('state').className = className;
}

// ---- Doing ----------------------------------------------------------------------------

for (const form of [$('by-token'), $('by-password')]) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form)), button = form.querySelector('button'), words = button.textContent;
    form.reset();
    button.disabled = true;
    button.textContent = 'Logging in …';
    $('refused').hidden = true;
    try {
      await ask('/login', { method: 'POST', body });
      await look();
    } catch (failure) {
      refuse(failure.status === 401 ? 'Login refused: the token, or the user and password, is not right.' : failure.message);
      form.querySelector('input').focus();
    }
    button.disabled = false;
    button.textContent = words;
  });
}

$('logout').addEventListener('submit', async (event) => {
  event.preventDefault();
  clearTimeout(timer);
  const answer = await change('/logout', {}).catch(() => null);
  enter(false);
  if (answer?.status === 200) offer($('elsewhere'), (await answer.json()).oidc);
});

// ---- Logging in with a provider -------------------------------------------------------

function refuse(text) {
  $('refused').textContent = text;
  $('refused').hidden = false;
}

/** Shows a box with a link to a provider; url also names it. */
function offer(box, url, name = new URL(url).host) {
  box.querySelector('a').href = url;
  box.querySelector('span').textContent = name;
  box.hidden = false;
}

async function loginWays() {
  const failure = loginFailure(new URLSearchParams(location.hash.slice(1)).get('login'));
  if (failure) {
    history.replaceState(null, '', '/'); // or the next reload would tell it again
    refuse(failure);
  }
  const { oidc } = await get('/login');
  if (!oidc) return;
  offer($('by-provider'), '/login/oidc', oidc);
  if (!$('login').hidden && !$('token').value) focusLogin();
}

let chosen = null; // the session that the dialog asks about

function confirmKick(session) {
  chosen = session;
  $('confirm-text').textContent = `${session.user || 'Somebody without a name'} on ${session.route}, from ${session.address}. `
    + 'The client hears 4401, that an administrator has ended its session, and has to log in again.';
  $('confirm-user').hidden = !session.user;
  $('confirm').returnValue = 'cancel';
  $('confirm').showModal();
}

$('confirm').addEventListener('close', async () => {
  const what = { session: { session: chosen.session }, user: { user: chosen.user } }[$('confirm').returnValue];
  if (!what) return;
  try {
    await change('/sessions/kick', what);
  } catch (failure) {
    say(failure.message, 'bad');
  }
  look();
});

look();
loginWays().catch(() => {}); // the forms are there in any case
