// The admin page: reads the state of the bridge from the admin interface every two seconds and
// shows it.
import { loginFailure, meaning } from './codes.js';
import { bytes, duration, lag, number, since, until } from './format.js';
import { Pages } from './pages.js';
import { sparkline } from './sparkline.js';
import { Table } from './table.js';

const interval = 2000; // ms between two updates
const historySize = 60; // updates that a sparkline shows
const maxRows = 50; // of a table; there are pages of sessions
const fewRefusals = 10; // that are shown at first

const $ = (id) => document.getElementById(id);

// ---- Requests -------------------------------------------------------------------------

class RequestError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function request(path, options) {
  const response = await fetch(path, { credentials: 'same-origin', ...options });
  if (!response.ok) throw new RequestError(response.status, (await response.text()).trim());
  return response;
}

const get = async (path) => (await request(path)).json();

const post = (path, body) => request(path, {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
});

/** Posts a change and shows why it failed, until the next one succeeds. Returns whether it did. */
async function attempt(answer, path, body) {
  let failure = '';
  try {
    await post(path, body);
  } catch (error) {
    failure = error.message;
  }
  $(answer).textContent = failure;
  update();
  return !failure;
}

// ---- Tables ---------------------------------------------------------------------------

let canChange = false; // whether the operator may end sessions

const sessions = new Table($('sessions'), [
  { head: 'User', text: (s) => s.user || '(none)', note: (s) => s.multiplexed ? `channels: ${s.channels ?? 0}` : '', name: true, long: true },
  { head: 'Route', text: (s) => s.route, long: true },
  { head: 'Dialect', text: (s) => s.dialect, minor: true },
  { head: 'Mechanism', text: (s) => s.mechanism, note: (s) => s.relayed ? `${s.relayed} to the backend` : '', minor: true },
  { head: 'Address', text: (s) => s.address, long: true },
  { head: 'Connected', text: (s) => since(s.since), number: true },
  { head: 'Queue', text: (s) => number.format(s.queued_messages), note: (s) => s.queued_messages ? bytes(s.queued_bytes) : '', number: true, idle: (s) => !s.queued_messages },
  { head: 'Lag', text: (s) => lag(s.lag_seconds), number: true, minor: true, bad: (s) => s.lag_seconds >= 1 },
  { head: 'Dropped', text: (s) => number.format(s.dropped), number: true, minor: true, bad: (s) => s.dropped > 0 },
  { head: 'Subscribed', text: (s) => bytes(s.subscription_bytes), number: true, minor: true },
  { head: 'Expires', text: (s) => until(s.expires), number: true, minor: true },
  { head: '', button: 'End …', label: (s) => `End the session of ${s.user || 'an anonymous user'} on ${s.route}`, press: confirmKick, shown: () => canChange },
], { key: (s) => s.session });

const stateClass = { idle: 'wait', ready: 'good', connecting: 'wait', unreachable: 'warn', refused: 'bad', gone: 'wait', 'source failed': 'bad' };

/** Returns the state of an endpoint: that of one connection, or of all connections that sessions have to it. */
function stateOf({ state, states }) {
  const list = Object.entries(states);
  const [[, n]] = list;
  if (list.length === 1) return n > 1 ? `${number.format(n)} ${state}` : state;
  return list.map(([name, count]) => `${number.format(count)} ${name}`).join(', ');
}

/** Returns for whom an endpoint is connected. */
function usedBy({ session, states, user, state }) {
  const n = Object.values(states).reduce((a, b) => a + b);
  if (session || n > 1) return n > 1 ? `${number.format(n)} sessions` : '1 session';
  return user || (state === 'idle' || state === 'source failed' ? '' : 'all sessions');
}

const backends = new Table($('backends'), [
  { head: 'Route', text: (b) => b.route, name: true, long: true },
  { head: 'Backend', text: (b) => b.backend ? String(b.backend) : b.state === 'source failed' ? '' : 'inbound', number: true, minor: true },
  { head: 'Address', text: (b) => b.address, long: true },
  { head: 'Source', text: (b) => b.source ?? '' },
  { head: 'State', text: stateOf, lead: true, pill: (b) => stateClass[b.state] ?? 'wait' },
  { head: 'For', text: (b) => since(b.since), number: true },
  { head: 'Reconnects', text: (b) => number.format(b.reconnects), number: true, minor: true, bad: (b) => b.reconnects > 0 },
  { head: 'Used by', text: usedBy, long: true, minor: true },
  { head: 'Next try', text: (b) => b.next_try ? until(b.next_try) : '', number: true },
  { head: 'Last error', text: (b) => b.error ?? '', long: true, faint: true },
  { head: '', button: 'Disconnect …', label: (b) => `Disconnect ${b.address} from ${b.route}`, press: confirmDisconnect, shown: (b) => canChange && b.can_disconnect },
], { key: (b) => `${b.route} ${b.address}`, empty: 'No backends yet. Inbound backends are listed when they connect.' });

const routes = new Table($('routes'), [
  { head: 'Route', text: (r) => r.path, name: true, long: true },
  { head: 'Socket', text: (r) => r.socket },
  { head: 'Sessions', text: (r) => number.format(r.sessions), number: true },
  { head: 'In', text: (r) => `${number.format(r.in)} /s`, number: true },
  { head: 'Out', text: (r) => `${number.format(r.out)} /s`, number: true },
  { head: 'In, total', text: (r) => number.format(r.messages_in), note: (r) => bytes(r.bytes_in), number: true, minor: true },
  { head: 'Out, total', text: (r) => number.format(r.messages_out), note: (r) => bytes(r.bytes_out), number: true, minor: true },
  { head: 'Dropped', text: (r) => number.format(r.dropped), number: true, bad: (r) => r.dropped > 0 },
  { head: 'Waiting', text: (r) => number.format(r.waiting), number: true, minor: true, bad: (r) => r.waiting > 0 },
  { head: 'Subscribed', text: (r) => bytes(r.subscription_bytes), number: true, minor: true },
], { key: (r) => r.path, empty: 'There are no routes.' });

const histories = new Table($('histories'), [
  { head: 'Route', text: (h) => h.route, name: true, long: true },
  { head: 'State', text: (h) => h.state, lead: true, pill: (h) => h.error ? 'bad' : 'good' },
  { head: 'Messages', text: (h) => number.format(h.messages), note: (h) => bytes(h.bytes), number: true },
  { head: 'Rate', text: (h) => `${number.format(h.rate)} /s`, number: true },
  { head: 'Topics', text: (h) => number.format(h.topics), number: true },
  { head: 'Last values', text: (h) => number.format(h.last_values), number: true, minor: true },
  { head: 'Oldest', text: (h) => h.oldest ? `${since(h.oldest)} ago` : '', number: true, minor: true },
  { head: 'Newest', text: (h) => h.newest ? `${since(h.newest)} ago` : '', number: true, minor: true },
  { head: 'Not stored', text: (h) => number.format(h.missed), number: true, bad: (h) => h.missed > 0 },
  { head: 'Leader', text: (h) => h.leader, minor: true },
  { head: 'Error', text: (h) => h.error ?? '', long: true, faint: true },
], { key: (h) => h.route });

const maxWaiting = 10_000; // the bridge counts no further
const queues = new Table($('queues'), [
  { head: 'User', text: (q) => q.user, name: true, long: true },
  { head: 'Queue', text: (q) => q.name || '(default)', long: true },
  { head: 'Route', text: (q) => q.route, long: true },
  { head: 'Waiting', text: (q) => number.format(q.waiting) + (q.waiting >= maxWaiting ? ' or more' : ''), number: true, minor: true },
  { head: 'Last seen', text: (q) => q.used ? 'in use' : q.last_seen ? `${since(q.last_seen)} ago` : '', number: true },
  { head: '', button: 'Delete …', label: (q) => `Delete the queue ${q.name || '(default)'} of ${q.user} on ${q.route}`, press: confirmDelete, shown: () => canChange },
], { key: (q) => JSON.stringify([q.route, q.user, q.name]) });

const codeColumns = [
  { head: 'Code', text: (c) => c.code, name: true },
  { head: 'Meaning', text: (c) => meaning(c.code), long: true, faint: true },
  { head: 'Route', text: (c) => c.route === 'none' ? 'no route' : c.route, long: true },
  { head: 'Number', text: (c) => number.format(c.number), number: true },
];
const codeKey = (c) => `${c.route} ${c.code}`;
const refusals = new Table($('refusals'), codeColumns, { key: codeKey, empty: 'No client has been refused.' });
const recent = new Table($('recent'), [
  { head: 'User', text: (r) => r.user || '(none)', name: true, long: true },
  { head: 'Reason', text: (r) => [r.reason, r.error].filter(Boolean).join(': '), long: true, wide: true },
  { head: 'Code', text: (r) => String(r.code), number: true, lead: true },
  { head: 'Route', text: (r) => r.route ?? '', long: true, minor: true },
  { head: 'Address', text: (r) => r.address, long: true, lead: true },
  { head: 'What', text: (r) => r.kind, minor: true },
  { head: 'Times', text: (r) => number.format(r.count), number: true, minor: true },
  { head: 'Last', text: (r) => `${since(r.time)} ago`, number: true, lead: true },
], { key: (r) => JSON.stringify([r.kind, r.user, r.address, r.route, r.code, r.reason, r.error, r.mechanism, r.dialect, r.asker, r.authenticator]), empty: 'Nobody has been refused.' });

const ends = new Table($('ends'), codeColumns, { key: codeKey, empty: 'No session has ended.' });
const zapStatus = { 200: 'accepted', 300: 'temporary error', 400: 'refused', 500: 'internal error' };
const logins = new Table($('logins'), [
  { head: 'Authenticator', text: (l) => l.authenticator || '(none)', name: true, long: true },
  { head: 'Status', text: (l) => `${l.status} ${zapStatus[l.status] ?? ''}` },
  { head: 'Number', text: (l) => number.format(l.number), number: true },
], { key: (l) => `${l.authenticator} ${l.status}`, empty: 'No logins yet.' });

// ---- Tiles ----------------------------------------------------------------------------

/** A figure with its recent history. format turns the number into text. */
class Tile {
  constructor(title, format) {
    this.format = format;
    this.history = [];
    this.value = element('div', 'value');
    this.detail = element('div', 'detail');
    this.root = element('div', 'tile');
    this.graph = element('div', 'graph');
    this.root.append(element('h3', '', title), this.value, this.detail, this.graph);
    $('tiles').append(this.root);
  }

  update(n, detail, bad = false) {
    this.history = [...this.history, n].slice(-historySize);
    this.value.textContent = this.format(n);
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
  queued: new Tile('Queued for clients', number.format),
  dropped: new Tile('Dropped', (n) => `${number.format(n)} /s`),
};

function element(name, className, text = '') {
  const e = document.createElement(name);
  e.className = className;
  e.textContent = text;
  return e;
}

// ---- Updates --------------------------------------------------------------------------

let last = null; // the previous summary and its time

/** Returns the routes of the summary with rates per second since the previous one. */
function withRates(summary, now) {
  const seconds = last ? (now - last.now) / 1000 : 0;
  const before = new Map(last?.summary.routes.map((r) => [r.path, r]));
  const rate = (r, field) => before.has(r.path) && seconds > 0
    ? Math.max(0, r[field] - before.get(r.path)[field]) / seconds : 0;
  return summary.routes.map((r) => ({
    ...r,
    in: rate(r, 'messages_in'), out: rate(r, 'messages_out'), lost: rate(r, 'dropped'),
    bytesIn: rate(r, 'bytes_in'), bytesOut: rate(r, 'bytes_out'),
  }));
}

const sumOf = (list) => list.reduce((n, x) => n + x, 0);
const sum = (list, field) => sumOf(list.map((x) => x[field]));

function show(summary, backendList) {
  const now = performance.now(), routeList = withRates(summary, now);
  last = { summary, now };
  canChange = summary.may === 'administrator';
  $('version').textContent = summary.version;
  $('who').textContent = `${summary.operator || '(no name)'}${canChange ? '' : ' (read only)'}`;
  showProblems(summary);
  showTiles(summary, routeList);
  $('n-backends').textContent = number.format(summary.endpoints) + (summary.endpoints > maxRows ? `, the first ${maxRows}, those with problems first` : '');
  backends.show(backendList);
  showConnect(routeList);
  routes.show(routeList);
  refusals.show(summary.refusals.sort((a, b) => b.number - a.number));
  ends.show(summary.ends.sort((a, b) => b.number - a.number));
  logins.show(summary.logins);
}

/** Shows what is wrong, first on the page and in the header. */
function showProblems({ problems, since: started, backends: states }) {
  const used = sumOf(Object.values(states)) - (states.idle ?? 0);
  const backendState = used ? `${number.format(states.ready ?? 0)} of ${number.format(used)} backend connections ready` : 'no backend connections yet';
  const tone = problems.some((p) => p.severity === 'error') ? 'bad' : problems.length ? 'warn' : 'good';
  const count = problems.length ? `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}` : 'no problems';
  setState(`${count} · up ${since(started)} · ${backendState}`, tone);
  $('problems').hidden = problems.length === 0;
  $('n-problems').textContent = problems.length;
  const items = problems.map((p) => {
    const item = element('li', p.severity === 'error' ? 'bad' : 'warn', p.text);
    if (p.since) item.append(' ', element('small', '', `for ${since(p.since)}`));
    return item;
  });
  const text = (list) => [...list].map((e) => e.className + e.textContent).join('\n');
  if (text(items) !== text($('problem-list').children)) $('problem-list').replaceChildren(...items);
}

function showTiles({ connections, max_connections: most, draining, sessions: all }, routeList) {
  const before = draining ? `, ${number.format(draining)} left in the process before` : '';
  tiles.connections.update(connections, (most ? `of ${number.format(most)}` : 'no limit') + before);
  tiles.sessions.update(all.number, all.users === 1 ? '1 user' : `${number.format(all.users)} users`);
  tiles.incoming.update(sum(routeList, 'in'), `${bytes(sum(routeList, 'bytesIn'))}/s`);
  tiles.outgoing.update(sum(routeList, 'out'), `${bytes(sum(routeList, 'bytesOut'))}/s`);
  tiles.queued.update(all.queued_messages, bytes(all.queued_bytes));
  tiles.dropped.update(sum(routeList, 'lost'), `${number.format(sum(routeList, 'dropped'))} in total`, sum(routeList, 'lost') > 0);
}

let allRefusals = false; // whether more than the first few are shown

function showRecent(list) {
  $('n-recent').textContent = list.length || '';
  recent.show(allRefusals ? list : list.slice(0, fewRefusals));
  $('more-recent').hidden = list.length <= fewRefusals;
  $('more-recent').textContent = allRefusals ? 'Show fewer' : `Show all ${list.length}`;
}

$('more-recent').addEventListener('click', () => {
  allRefusals = !allRefusals;
  update();
});

// ---- Sessions -------------------------------------------------------------------------

const pages = new Pages();

function showSessions({ total, matching, sessions: list, next }) {
  const searched = pages.search !== '';
  $('n-sessions').textContent = (searched ? `${number.format(matching)} of ` : '') + number.format(total);
  sessions.empty.textContent = searched ? 'No session matches the search.' : 'There are no sessions.';
  sessions.show(list);
  pages.next = next;
  $('pages').hidden = pages.first && !next;
  $('previous').disabled = pages.first;
  $('next').disabled = !next;
  const from = pages.index * maxRows + 1;
  $('range').textContent = list.length ? `${number.format(from)}–${number.format(from + list.length - 1)} of ${number.format(matching)}` : '';
}

for (const [id, move] of [['previous', () => pages.back()], ['next', () => pages.forward()]]) {
  $(id).addEventListener('click', () => {
    move();
    update();
  });
}

for (const [id, event] of [['filter', 'input'], ['sort', 'change']]) {
  $(id).addEventListener(event, () => {
    pages.ask($('filter').value.trim(), $('sort').value);
    update();
  });
}

// ---- History --------------------------------------------------------------------------

let lastEnds = new Map(), lastEndsAt = 0; // of the histories, at the previous update

/** Returns the histories with rates per second since the previous update. */
function withHistoryRates(list) {
  const now = performance.now(), seconds = (now - lastEndsAt) / 1000, before = lastEnds;
  lastEnds = new Map(list.map((h) => [h.route, h.end]));
  lastEndsAt = now;
  return list.map((h) => ({ ...h, rate: Math.max(0, h.end - (before.get(h.route) ?? h.end)) / seconds }));
}

function showHistory(historyList, queueList) {
  $('kept').hidden = historyList.length === 0;
  $('permanent').hidden = queueList.length === 0;
  $('n-queues').textContent = number.format(queueList.length) + (queueList.length > maxRows ? `, showing the first ${maxRows}` : '');
  histories.show(withHistoryRates(historyList));
  queues.show(queueList.slice(0, maxRows));
}

const queueInterval = 10_000; // ms: the bridge reads its logs to count what waits
let queueList = [], nextQueues = 0;

async function getQueues() {
  if (performance.now() >= nextQueues) {
    queueList = await get('/queues');
    nextQueues = performance.now() + queueInterval;
  }
  return queueList;
}

// ---- Every two seconds ----------------------------------------------------------------

let timer = 0, updates = 0;

async function update() {
  clearTimeout(timer);
  const current = ++updates;
  try {
    const paths = ['/summary', pages.path(maxRows), `/backends?group=endpoint&limit=${maxRows}`, '/history', '/refusals'];
    const [summary, sessionList, backendList, historyList, refusalList] = await Promise.all(paths.map(get));
    const permanent = historyList.length ? await getQueues() : [];
    if (current !== updates) return; // a later one, perhaps for another page of sessions, is on its way
    if (!sessionList.sessions.length && !pages.first) {
      pages.back(); // the sessions of this page have ended
      return update();
    }
    show(summary, backendList);
    showSessions(sessionList);
    showRecent(refusalList);
    showHistory(historyList, permanent);
    $('live').classList.remove('stale');
    setLoggedIn(true);
  } catch (error) {
    if (current !== updates) return;
    if (error instanceof RequestError && error.status === 401) {
      if (!$('live').hidden) showLoginError('Your login has ended. Log in again.');
      return setLoggedIn(false);
    }
    setState(error instanceof RequestError ? error.message : 'The bridge does not answer. Trying again …', 'bad');
    $('live').classList.add('stale');
  }
  if (!document.hidden) timer = setTimeout(update, interval);
}

document.addEventListener('visibilitychange', () => { if (!document.hidden && !$('live').hidden) update(); });

function setState(text, className) {
  if ($('state').textContent !== text) $('state').textContent = text;
  $('state').className = className;
}

// ---- Login and logout -----------------------------------------------------------------

function setLoggedIn(loggedIn) {
  if (loggedIn && !$('live').hidden || !loggedIn && !$('login').hidden) return;
  $('live').hidden = $('logout').hidden = !loggedIn;
  $('login').hidden = loggedIn;
  if (loggedIn) {
    $('refused').hidden = $('elsewhere').hidden = true;
    $('main').focus({ preventScroll: true });
  } else {
    last = null;
    setState('', '');
    focusLogin();
  }
}

/** Puts the focus on the way to log in that is shown first. */
function focusLogin() {
  const first = $('by-provider').hidden ? $('first-form').querySelector('input') : $('by-provider').querySelector('a');
  first?.focus();
}

function showLoginError(text) {
  $('refused').textContent = text;
  $('refused').hidden = false;
}

for (const form of [$('by-token'), $('by-password')]) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form)), button = form.querySelector('button'), label = button.textContent;
    form.reset();
    button.disabled = true;
    button.textContent = 'Logging in …';
    $('refused').hidden = true;
    try {
      await request('/login', { method: 'POST', body });
      await update();
    } catch (error) {
      showLoginError(error.status === 401 ? 'Login refused: wrong token, or wrong user or password.' : error.message);
      form.querySelector('input').focus();
    }
    button.disabled = false;
    button.textContent = label;
  });
}

$('logout').addEventListener('submit', async (event) => {
  event.preventDefault();
  clearTimeout(timer);
  updates++; // what an update on its way brings is not shown any more
  const response = await post('/logout', {}).catch(() => null);
  setLoggedIn(false);
  if (response?.status === 200) offer($('elsewhere'), (await response.json()).oidc);
});

/** Shows a box with a link to a provider and the provider's name. */
function offer(box, url, name = new URL(url).host) {
  box.querySelector('a').href = url;
  box.querySelector('span').textContent = name;
  box.hidden = false;
}

/** Shows why a login with the provider failed, and the link to the provider if there is one. */
async function prepareLogin() {
  const failure = loginFailure(new URLSearchParams(location.hash.slice(1)).get('login'));
  if (failure) {
    history.replaceState(null, '', '/'); // so that a reload does not show it again
    showLoginError(failure);
  }
  const { oidc, form } = await get('/login');
  if (oidc) offer($('by-provider'), '/login/oidc', oidc);
  else $('first-form').append($(`by-${form}`));
  if (!$('login').hidden && !$('first-form').contains(document.activeElement)) focusLogin();
}

// ---- Ending sessions ------------------------------------------------------------------

let selected = null; // the session that the dialog is about

function confirmKick(session) {
  selected = session;
  $('confirm-text').textContent = `${session.user || 'An anonymous user'} on ${session.route}, from ${session.address}. `
    + 'The client gets close code 4401 with the reason that an administrator has ended its session, and must log in again.';
  $('confirm-user').hidden = !session.user;
  $('confirm').returnValue = 'cancel';
  $('confirm').showModal();
}

$('confirm').addEventListener('close', async () => {
  const what = { session: { session: selected.session }, user: { user: selected.user } }[$('confirm').returnValue];
  if (!what) return;
  await attempt('kick-answer', '/sessions/kick', what);
});

// ---- Asking first ---------------------------------------------------------------------

let confirmed = null; // what follows if the dialog is confirmed

/** Asks whether to call action. */
function ask(title, text, button, action) {
  confirmed = action;
  $('ask-title').textContent = title;
  $('ask-text').textContent = text;
  $('ask-button').textContent = button;
  $('ask').returnValue = 'cancel';
  $('ask').showModal();
}

$('ask').addEventListener('close', () => $('ask').returnValue === 'confirmed' && confirmed());

// ---- Deleting queues ------------------------------------------------------------------

function confirmDelete({ route, user, name, used }) {
  const text = `${name ? `The queue “${name}”` : 'The default queue'} of ${user} on ${route}. `
    + 'What waits in it is not delivered any more'
    + (used ? ', and the client that uses it gets close code 4401.' : '.');
  ask('Delete this queue?', text, 'Delete the queue', () => {
    nextQueues = 0;
    return attempt('delete-answer', '/queues/delete', { route, user, name });
  });
}

// ---- Endpoints ------------------------------------------------------------------------

/** Offers the routes, unless they are the ones that are offered already. */
function showConnect(routeList) {
  $('connect').hidden = !canChange;
  const paths = routeList.map((r) => r.path), offered = [...$('connect-route').options].map((o) => o.value);
  if (paths.join('\n') === offered.join('\n')) return;
  const chosen = $('connect-route').value;
  $('connect-route').replaceChildren(...paths.map((path) => new Option(path)));
  if (paths.includes(chosen)) $('connect-route').value = chosen;
}

$('connect').addEventListener('submit', async (event) => {
  event.preventDefault();
  const route = $('connect-route').value, endpoint = $('connect-endpoint').value.trim(), key = $('connect-key').value.trim();
  if (await attempt('connect-answer', '/routes/connect', { route, endpoint, ...(key && { server_key: key }) })) {
    $('connect-endpoint').value = $('connect-key').value = '';
  }
});

function confirmDisconnect({ route, address, source }) {
  const text = `${address} of ${route}. Sessions stay, and what was sent there may be answered for five seconds. `
    + (source === 'admin' ? 'It stays away until it is connected again.' : 'It comes back with the next reload or start.');
  ask('Disconnect this endpoint?', text, 'Disconnect the endpoint', () => attempt('connect-answer', '/routes/disconnect', { route, endpoint: address }));
}

update();
prepareLogin().catch(() => { $('other-ways').open = true; }); // the forms work without it
