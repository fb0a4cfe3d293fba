// One house on the page: what it publishes and the commands it takes.
import { Req, Sub } from './zws.js';
import { sparkline } from './sparkline.js';
import { explain } from './words.js';

const maxReadings = 60; // in a sparkline
const expectedRooms = 2; // whose places are kept until the first reading
const minSpan = 1; // °C: the smallest range that a sparkline spreads over its height
const staleAfter = 10_000; // ms without a reading until the last one is marked as old
const EXPIRED = 4401, NOT_PERMITTED = 4403;

export class House {
  /** Calls onEnd with a sentence for the user when the login has ended. */
  constructor(name, { login, own, onEnd }) {
    this.name = name;
    this.rooms = new Map();
    this.createElement(own);
    // '' is the oldest reading that the bridge keeps: the sparklines begin with the last minutes.
    this.readings = new Sub({ login, history: true, position: '' });
    this.commands = new Commands(name, login, () => this.rooms.forEach((room) => room.forbid(this.commands.forbidden)));
    this.readings.events
      .on('ready', () => this.setStatus('good', 'live', this.rooms.size ? '' : 'Waiting for the first reading …'))
      .on('recovered', () => this.setStatus('good', 'live again'))
      .on('lost', ({ count }) => this.setStatus('warn', 'live', `${count} readings were lost: this page was too slow.`))
      .on('disconnect', (error) => {
        this.setStatus('warn', 'reconnecting', explain(error));
        this.element.classList.add('gone'); // what is shown may be out of date
        this.countDown(Date.now() + error.delay);
      })
      .on('refused', (error) => {
        if (error.code === EXPIRED) return onEnd(explain(error));
        this.showRefused(error);
      })
      .on('unsubscribed', () => { // the answer to a resume with a topic that is not permitted
        this.readings.close();
        this.showRefused({ code: NOT_PERMITTED, reason: 'not permitted' });
      });
    this.readings.connect('/devices');
    this.readings.subscribe(`house/${name}/`);
    this.showReadings();
  }

  createElement(own) {
    this.element = element('section', 'house');
    const title = element('h2', '', `${capitalize(this.name)}’s house`);
    title.id = `house-${this.name}`;
    this.element.setAttribute('aria-labelledby', title.id);
    this.status = element('span', 'state wait', 'connecting …');
    this.status.setAttribute('role', 'status');
    this.retry = element('span', 'faint'); // outside of the status, so that screen readers do not read every second
    const heading = element('div', 'heading'), right = element('div', 'status');
    right.append(this.status, ' ', this.retry);
    heading.append(title, element('span', 'badge', own ? 'yours' : 'not yours'), right);
    this.note = element('p', 'note');
    this.note.hidden = true;
    this.cards = element('div', 'rooms');
    this.element.append(heading, this.note, this.cards);
    for (let i = 0; i < expectedRooms; i++) this.cards.append(skeleton());
  }

  showRefused(error) {
    this.removeRooms();
    this.setStatus('bad', error.code === NOT_PERMITTED ? 'not permitted' : 'refused', explain(error));
  }

  async showReadings() {
    try {
      for await (const [topic, value] of this.readings) {
        const [, , room, quantity] = String(topic).split('/');
        this.room(room).show(quantity, String(value));
      }
    } catch {
      // The handler of 'refused' has shown the reason.
    }
  }

  room(name) {
    if (!this.rooms.has(name)) {
      const room = new Room(this, name);
      if (!this.rooms.size) {
        this.setStatus('good', 'live');
        this.cards.replaceChildren(); // the skeletons
      }
      if (this.commands.forbidden) room.forbid(this.commands.forbidden);
      this.rooms.set(name, room);
      const next = [...this.rooms.keys()].sort().find((other) => other > name);
      this.cards.insertBefore(room.element, this.rooms.get(next)?.element ?? null);
    }
    return this.rooms.get(name);
  }

  setStatus(tone, status, note = '') {
    if (tone === 'good') this.element.classList.remove('gone');
    this.status.className = `state ${tone}`;
    this.status.textContent = status;
    this.note.textContent = note;
    this.note.hidden = !note;
    this.countDown();
  }

  /** Shows the seconds left until the time of the next attempt. Without an argument it shows nothing. */
  countDown(time) {
    clearTimeout(this.countdown);
    const left = Math.ceil((time - Date.now()) / 1000);
    this.retry.textContent = left > 0 ? `in ${left} s` : '';
    if (left > 0) this.countdown = setTimeout(() => this.countDown(time), 1000);
  }

  close() {
    this.countDown();
    this.readings.close();
    this.commands.close();
    this.removeRooms();
  }

  removeRooms() {
    this.rooms.forEach((room) => room.close());
    this.rooms.clear();
    this.cards.replaceChildren();
  }
}

/**
 * Sends commands to one house, one after another, on a connection of its own. It connects at once, to
 * find out whether the user may send any; if not, it calls onForbidden.
 */
class Commands {
  forbidden = ''; // why the user may not send commands

  constructor(name, login, onForbidden) {
    this.url = `/house/${name}`;
    this.login = login;
    this.last = Promise.resolve();
    this.socket = new Req({ login });
    this.socket.connect(this.url).catch((error) => {
      this.close();
      if (error.code !== NOT_PERMITTED) return; // the next command tries again
      this.forbidden = explain(error);
      onForbidden();
    });
  }

  /** Sends a command after those before it are answered. Resolves to the answer. */
  send(...frames) {
    const answer = this.last.then(async () => {
      if (!this.socket) {
        this.socket = new Req({ login: this.login });
        this.socket.connect(this.url);
      }
      try {
        await this.socket.send(frames);
        return (await this.socket.receive()).map(String).join(' ');
      } catch (error) {
        this.close(); // the next command opens a new connection
        throw error;
      }
    });
    this.last = answer.catch(() => {});
    return answer;
  }

  close() {
    this.socket?.close();
    this.socket = null;
  }
}

/** A card with the temperature of a room, its history, and controls for light and heating. */
class Room {
  constructor(house, name) {
    this.house = house;
    this.name = name;
    this.history = [];
    this.element = element('article', 'room');
    const title = element('h3', '', capitalize(name));
    title.id = `room-${house.name}-${name}`;
    this.element.setAttribute('aria-labelledby', title.id);
    this.temperature = element('div', 'temperature', '–');
    this.graph = element('div', 'graph');
    this.range = element('div', 'range faint');
    this.answer = element('p', 'answer');
    this.answer.setAttribute('role', 'status');
    this.element.append(title, this.temperature, this.graph, this.range, this.lightControl(), this.targetControl(), this.answer);
  }

  lightControl() {
    this.light = element('button', 'switch');
    this.light.type = 'button';
    this.light.setAttribute('role', 'switch');
    this.light.setAttribute('aria-checked', 'false');
    this.light.setAttribute('aria-label', `Light in ${this.house.name}’s ${this.name}`);
    this.light.addEventListener('click', () => {
      this.command(this.light, 'light', this.light.getAttribute('aria-checked') === 'true' ? 'off' : 'on');
    });
    const row = element('div', 'control');
    row.append(element('span', '', 'Light'), this.light);
    return row;
  }

  targetControl() {
    this.target = element('input', '');
    Object.assign(this.target, { type: 'number', min: 5, max: 30, step: 0.5, required: true });
    this.target.id = `target-${this.house.name}-${this.name}`;
    const label = element('label', '', 'Heat to °C');
    label.htmlFor = this.target.id;
    const row = element('form', 'control'), button = element('button', '', 'Set');
    row.append(label, this.target, button);
    row.addEventListener('submit', (event) => {
      event.preventDefault();
      this.command(button, 'target', this.target.value);
    });
    return row;
  }

  /** Shows that the user may not send commands here; pressing a control says why. */
  forbid(reason) {
    this.forbidden = reason;
    this.element.classList.add('forbidden');
    for (const control of this.element.querySelectorAll('.control :is(button, input)')) {
      control.setAttribute('aria-disabled', 'true');
      control.title = reason;
    }
    this.target.readOnly = true;
  }

  show(quantity, value) {
    if (quantity === 'light') this.light.setAttribute('aria-checked', String(value === 'on'));
    if (quantity === 'target' && document.activeElement !== this.target) this.target.value = Number(value);
    if (quantity === 'temperature') this.showTemperature(value);
  }

  showTemperature(value) {
    this.temperature.textContent = `${value} °C`;
    this.history = [...this.history, Number(value)].slice(-maxReadings);
    const min = Math.min(...this.history), max = Math.max(...this.history);
    const margin = Math.max(minSpan - (max - min), 0) / 2; // an almost constant temperature is drawn in the middle
    const label = `from ${this.history[0]} to ${this.history.at(-1)} °C`;
    this.graph.replaceChildren(sparkline(this.history, { low: min - margin, high: max + margin, label }));
    this.range.textContent = `${min.toFixed(1)} to ${max.toFixed(1)} °C in the last ${this.history.length} s`;
    this.element.classList.remove('stale');
    clearTimeout(this.staleTimer);
    this.staleTimer = setTimeout(() => {
      this.element.classList.add('stale');
      this.range.textContent = `No reading since ${new Date(Date.now() - staleAfter).toLocaleTimeString()}`;
    }, staleAfter);
  }

  close() {
    clearTimeout(this.staleTimer);
  }

  async command(button, name, value) {
    if (this.forbidden) return this.showAnswer('bad', this.forbidden);
    button.disabled = true;
    this.showAnswer('wait', 'sent …');
    try {
      const answer = await this.house.commands.send(name, this.name, value);
      this.showAnswer(answer.startsWith('ok') ? 'good' : 'bad', answer);
    } catch (error) {
      this.showAnswer('bad', error.reason === undefined ? 'No answer: the connection was lost.' : explain(error));
    }
    button.disabled = false;
    if (document.activeElement === document.body) button.focus(); // a disabled button loses the focus
  }

  showAnswer(tone, text) {
    this.answer.className = `answer ${tone}`;
    this.answer.textContent = text;
  }
}

function element(name, className, text = '') {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.textContent = text;
  return e;
}

/** Returns an empty card for a room that is not known yet. */
function skeleton() {
  const card = element('div', 'room skeleton');
  card.setAttribute('aria-hidden', 'true');
  for (const part of ['title', 'temperature', 'graph', 'control', 'control']) card.append(element('div', `bar ${part}`));
  return card;
}

const capitalize = (name) => name[0].toUpperCase() + name.slice(1);
