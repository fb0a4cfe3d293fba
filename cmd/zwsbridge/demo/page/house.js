// One house on the page: what it publishes, and what it can be told to do.
import { Req, Sub } from './zws.js';
import { line } from './sparkline.js';
import { explain } from './words.js';

const kept = 60; // readings that a sparkline shows
const silence = 10_000; // ms without a reading after which the last one is called old
const EXPIRED = 4401;

export class House {
  /** ended is called with a sentence if the login is over. */
  constructor(name, { login, own, ended }) {
    this.name = name;
    this.rooms = new Map();
    this.element = element('section', 'house');
    const title = element('h2', '', `${capital(name)}’s house`);
    title.id = `house-${name}`;
    this.element.setAttribute('aria-labelledby', title.id);
    this.state = element('span', 'state wait', 'connecting …');
    this.state.setAttribute('role', 'status');
    this.due = element('span', 'faint'); // beside the state, which is read out when it changes
    const heading = element('div', 'heading'), status = element('div', 'status');
    status.append(this.state, ' ', this.due);
    heading.append(title, element('span', 'badge', own ? 'yours' : 'somebody else’s'), status);
    this.note = element('p', 'note');
    this.note.hidden = true;
    this.cards = element('div', 'rooms');
    this.element.append(heading, this.note, this.cards);

    this.readings = new Sub({ login });
    this.commands = new Commands(name, login);
    this.readings.events
      .on('ready', () => this.tell('good', 'live', this.rooms.size ? '' : 'Waiting for the first reading …'))
      .on('recovered', () => this.tell('good', 'live again'))
      .on('lost', ({ count }) => this.tell('warn', 'live', `${count} readings were lost: this page was too slow.`))
      .on('disconnect', (why) => {
        this.tell('warn', 'trying again', explain(why));
        this.countDown(Date.now() + why.delay);
      })
      .on('refused', (why) => {
        if (why.code === EXPIRED) return ended(explain(why));
        this.forget();
        this.tell('bad', why.code === 4403 ? 'not for you' : 'refused', explain(why));
      });
    this.readings.connect('/devices');
    this.readings.subscribe(`house/${name}/`);
    this.read();
  }

  async read() {
    try {
      for await (const [topic, value] of this.readings) {
        const [, , room, what] = String(topic).split('/');
        this.room(room).show(what, String(value));
      }
    } catch {
      // Refused: the event has told so.
    }
  }

  room(name) {
    if (!this.rooms.has(name)) {
      const room = new Room(this, name);
      if (!this.rooms.size) this.tell('good', 'live');
      this.rooms.set(name, room);
      const after = [...this.rooms.keys()].sort().find((other) => other > name);
      this.cards.insertBefore(room.element, this.rooms.get(after)?.element ?? null);
    }
    return this.rooms.get(name);
  }

  tell(tone, state, note = '') {
    this.state.className = `state ${tone}`;
    this.state.textContent = state;
    this.note.textContent = note;
    this.note.hidden = !note;
    this.countDown();
  }

  /** Shows the seconds until then, the time of the next try; without it, none. */
  countDown(then) {
    clearTimeout(this.counting);
    const left = Math.ceil((then - Date.now()) / 1000);
    this.due.textContent = left > 0 ? `in ${left} s` : '';
    if (left > 0) this.counting = setTimeout(() => this.countDown(then), 1000);
  }

  close() {
    this.countDown();
    this.readings.close();
    this.commands.close();
    this.forget();
  }

  forget() {
    this.rooms.forEach((room) => room.close());
    this.rooms.clear();
    this.cards.replaceChildren();
  }
}

/** The commands to one house, one after the other, on a connection of their own. */
class Commands {
  constructor(name, login) {
    this.url = `/house/${name}`;
    this.login = login;
    this.last = Promise.resolve();
  }

  /** Sends a command and resolves to the answer, once those before it have theirs. */
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
        this.close(); // the next command begins anew
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

/** A card: the temperature, how it went, and what can be set. */
class Room {
  constructor(house, name) {
    this.house = house;
    this.name = name;
    this.history = [];
    this.element = element('article', 'room');
    const title = element('h3', '', capital(name));
    title.id = `room-${house.name}-${name}`;
    this.element.setAttribute('aria-labelledby', title.id);
    this.temperature = element('div', 'temperature', '–');
    this.graph = element('div', 'graph');
    this.span = element('div', 'span faint');
    this.answer = element('p', 'answer');
    this.answer.setAttribute('role', 'status');
    this.element.append(title, this.temperature, this.graph, this.span, this.lightRow(), this.targetRow(), this.answer);
  }

  lightRow() {
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

  targetRow() {
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

  show(what, value) {
    if (what === 'light') this.light.setAttribute('aria-checked', String(value === 'on'));
    if (what === 'target' && document.activeElement !== this.target) this.target.value = Number(value);
    if (what !== 'temperature') return;
    this.history = [...this.history, Number(value)].slice(-kept);
    this.temperature.textContent = `${value} °C`;
    this.graph.replaceChildren(line(this.history));
    const low = Math.min(...this.history).toFixed(1), high = Math.max(...this.history).toFixed(1);
    this.span.textContent = `${low} to ${high} °C in the last ${this.history.length} s`;
    this.element.classList.remove('old');
    clearTimeout(this.silent);
    this.silent = setTimeout(() => {
      this.element.classList.add('old');
      this.span.textContent = `No reading since ${new Date(Date.now() - silence).toLocaleTimeString()}`;
    }, silence);
  }

  close() {
    clearTimeout(this.silent);
  }

  async command(button, what, value) {
    button.disabled = true;
    this.say('wait', 'sent …');
    try {
      const answer = await this.house.commands.send(what, this.name, value);
      this.say(answer.startsWith('ok') ? 'good' : 'bad', answer);
    } catch (refusal) {
      this.say('bad', refusal.reason === undefined ? 'No answer: the connection was lost.' : explain(refusal));
    }
    button.disabled = false;
    if (document.activeElement === document.body) button.focus(); // disabling it took the focus away
  }

  say(tone, text) {
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

const capital = (name) => name[0].toUpperCase() + name.slice(1);
