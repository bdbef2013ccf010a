// Puts the page together: notifications go into the store, and the store is drawn at most once per frame.

import { Board } from './board.js';
import { Commands } from './commands.js';
import { Connection } from './connection.js';
import { Decision } from './decision.js';
import { Details } from './details.js';
import { byId, setAttribute } from './dom.js';
import { Announcer, Feed, toast } from './feed.js';
import { filterOf, isOn, matcher, nothing, putFilter } from './filter.js';
import { words } from './format.js';
import { drawConnection, drawFacts, drawMeasures, drawNotes, drawTiles } from './glance.js';
import { Identity } from './identity.js';
import { keep, takeKept } from './kept.js';
import { Measures } from './latency.js';
import { Reviews } from './reviews.js';
import { Rooms } from './rooms.js';
import { membersOf, textOf } from './said.js';
import { Store } from './store.js';

const clockMs = 250; // durations tick
const settleMs = 1000; // what was missed, or why it could not be made up, follows the connection within this time
const pastNotices = 200; // of the user's room, looked through for notices of before the page was opened

class Page {
  #store = new Store();
  #measures = new Measures();
  #connection = new Connection();
  #announcer = new Announcer();
  #feed = new Feed();
  #rooms = new Set();
  #noticeNumber = Date.now();
  #filter = filterOf(new URLSearchParams(location.search));
  #due = false;

  constructor(world) {
    this.identity = new Identity(world);
    const { names } = this.identity;
    const open = (taskId) => this.details.open(taskId, () => this.#later());
    this.details = new Details(names, this.#connection);
    this.board = new Board(names, open);
    this.commands = new Commands(this.#connection, names, (...news) => this.#tell(...news), () => this.#later());
    this.decision = new Decision(names, (review, what) => this.commands.send('decide', review, what));
    this.reviews = new Reviews(names, {
      open,
      may: (review) => this.commands.of(review, this.identity.user.id),
      act: (act, review) => (act === 'decide' ? this.decision.open(review) : this.commands.send(act, review)),
    });
    this.states = new Rooms(this.#connection, this.#store, (news) => this.#stateCame(news));
    this.#listen();
    this.#showFilter();
    this.#start();
    setInterval(() => this.#later(), clockMs);
  }

  /** Goes on where the page was left, or begins anew. */
  #start() {
    const kept = takeKept(this.#who);
    this.#store.clear(this.identity.followed);
    if (kept) this.#store.restore(kept.store);
    this.#connection.open(this.identity.credentials, kept?.session);
    if (kept?.details) this.details.open(kept.details, () => this.#later());
  }

  get #who() {
    return this.identity.rooms.join(' ');
  }

  #leave() {
    const { session } = this.#connection;
    if (session) keep(this.#who, { session, store: this.#store.keep(), details: this.details.taskId });
  }

  #listen() {
    const connection = this.#connection;
    window.smartstackTheme(byId('theme'));
    this.identity.addEventListener('change', () => this.#restart());
    connection.addEventListener('change', () => this.#later());
    connection.addEventListener('connected', ({ detail }) => this.#connected(detail));
    connection.addEventListener('lost', () => this.#announcer.alert('Connection lost; reconnecting.'));
    connection.addEventListener('notification', ({ detail }) => this.#take(detail));
    connection.addEventListener('history', ({ detail }) => this.#past(detail));
    connection.addEventListener('any', ({ detail }) => this.#roomsChanged(detail));
    addEventListener('pagehide', () => this.#leave());
    addEventListener('pageshow', ({ persisted }) => persisted && takeKept(this.#who)); // it has never been away
    byId('cut').addEventListener('click', () => connection.cut(4000));
    byId('connection').addEventListener('click', ({ currentTarget }) => {
      const panel = byId('connection-panel');
      panel.hidden = !panel.hidden;
      currentTarget.setAttribute('aria-expanded', String(!panel.hidden));
      this.#later();
    });
    byId('feed-clear').addEventListener('click', () => {
      this.#store.clearNotices();
      this.#later();
    });
    for (const [id, name] of [['search', 'q'], ['project', 'project'], ['priority', 'priority'], ['queue', 'queue'], ['mine', 'mine']])
      byId(id).addEventListener('input', ({ target }) => this.#look({ [name]: target.type === 'checkbox' ? (target.checked ? '1' : '') : target.value }));
    byId('filter-clear').addEventListener('click', () => {
      this.#look(nothing);
      byId('search').focus();
    });
    document.addEventListener('keydown', (event) => this.#pressed(event));
    document.addEventListener('visibilitychange', () => this.#later());
  }

  #pressed(event) {
    const typing = event.target.closest?.('input, select, textarea, dialog');
    if (event.key !== '/' || typing || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    byId('search').focus();
  }

  #look(change) {
    this.#filter = { ...this.#filter, ...change };
    const query = new URLSearchParams(location.search);
    putFilter(query, this.#filter);
    const text = String(query);
    history.replaceState(null, '', `${text ? `?${text}` : location.pathname}${location.hash}`);
    this.#showFilter();
    const { shown } = this.#store;
    const [tasks, reviews] = [shown.tasks, shown.reviews].map((list) => list.filter(this.#wanted).length);
    this.#announcer.say(`Found: ${tasks} of ${shown.tasks.length} tasks, ${reviews} of ${shown.reviews.length} reviews.`);
    this.#later();
  }

  get #wanted() {
    return matcher(this.#filter, { user: this.identity.user.id, names: this.identity.names });
  }

  #showFilter() {
    const { q, project, priority, queue, mine } = this.#filter;
    if (byId('search').value !== q) byId('search').value = q;
    Object.entries({ project, priority, queue }).forEach(([id, value]) => { byId(id).value = value; });
    byId('mine').checked = Boolean(mine);
  }

  #restart() {
    this.details.dialog.close();
    this.decision.dialog.close();
    this.commands.clear();
    this.#measures.clear();
    this.#rooms.clear();
    this.#look({ project: '', queue: '' }); // another tenant has others
    this.#start();
    this.#announcer.say(`Now looking as ${this.identity.user.name} of ${this.identity.tenant.name}.`);
    this.#later();
  }

  #connected({ again, recovered }) {
    for (const room of this.identity.rooms) this.#rooms.add(room);
    this.states.connected(recovered);
    if (!recovered) {
      this.#connection.ask('subscribe', `user:${this.identity.user.id}`, { last: pastNotices });
      if (again) this.details.follow(() => this.#later());
    }
    if (!again) this.#announcer.say('Connected. Updates are live.');
    else setTimeout(() => this.#cameBack(recovered, this.#connection.facts), settleMs);
    this.#later();
  }

  #cameBack(recovered, facts) {
    const missed = facts.replayed - facts.replayedBefore;
    if (recovered) {
      this.#tell('Connection recovered', missed ? `${missed} updates of the break were caught up; nothing was lost.` : 'Nothing was missed.', 'success');
    } else {
      const why = facts.freshReason ? ` (${words(facts.freshReason).toLowerCase()})` : '';
      this.#tell('Connected again', `As a fresh session${why}: the page shows what is now, and not what happened in between.`, 'warning');
    }
    this.#later();
  }

  #stateCame({ refused }) {
    if (refused) this.#tell(`No access to ${refused.room}`, refused.message, 'warning');
    this.#later();
  }

  #take({ name, notification, now, latency }) {
    this.#measures.add(now, latency);
    const before = this.#store.shown.reviews;
    const isNews = this.#store.live(notification);
    this.details.take(notification);
    if (name === 'review.alert') this.#alert(notification);
    else if (name === 'review.updated' && isNews) this.commands.took(notification.reviewUpdate, before);
    else if (name === 'review.refused') this.#refused(notification.reviewRefusal);
    else if (name === 'notification') this.#inform(notification, true);
    this.#later();
  }

  #past({ event, data }) {
    if (event === 'notification') this.#inform(data, false);
    this.#later();
  }

  #refused(refusal) {
    if (refusal.reason === 'limit') this.#store.lifeless(refusal.id);
    else this.commands.refused(refusal);
  }

  /** To who reviews it. */
  #alert({ rooms, reviewAlert: { queue, reason, priority } }) {
    if (!rooms.includes(`review:${queue}`)) return;
    const text = `Review for ${queue}: ${words(reason).toLowerCase()}, priority ${priority}.`;
    if (priority === 'critical') this.#announcer.alert(text);
    else this.#announcer.say(text);
  }

  #inform(notification, aloud) {
    const { title, body, severity = 'info', taskId, data } = notification.clientNotification ?? {};
    if (!title) return;
    const text = [textOf(membersOf(membersOf(data).summary).title) ?? this.#store.shown.byId.get(taskId)?.title, body].filter(Boolean).join(' · ');
    const at = Date.parse(notification.time) || Date.now();
    const isNew = this.#store.notice({ id: notification.id, title: words(title), body: text, severity, at });
    if (isNew && aloud) this.#announcer.say(`${words(title)}. ${text}`);
  }

  /** News of the page itself. */
  #tell(title, body, severity) {
    this.#store.notice({ id: `page-${this.#noticeNumber++}`, title, body, severity, at: Date.now() });
    toast(`${title}. ${body}`, severity);
    this.#announcer.say(`${title}. ${body}`);
  }

  #roomsChanged({ name, values }) {
    const room = values[0]?.room;
    if (name === 'subscribed' && room) this.#rooms.add(room);
    if (name === 'unsubscribed' && room) this.#rooms.delete(room);
    if (name === 'stale') this.#tell('The broker is away', 'Updates will go on when it is back.', 'warning');
    if (name === 'live') this.#tell('The broker is back', 'Nothing was lost.', 'success');
  }

  #later() {
    if (this.#due) return;
    this.#due = true;
    // A page in the background gets no frames; there it is drawn when it comes back.
    if (!document.hidden) requestAnimationFrame(() => this.#draw());
    else this.#due = false;
  }

  #draw() {
    this.#due = false;
    const now = Date.now();
    const { shown, known } = this.#store;
    const wanted = this.#wanted;
    this.#measures.advance(now);
    const hidden = {
      tasks: this.board.draw(shown, known, wanted, now),
      reviews: this.reviews.draw(shown.reviews, known, wanted, now),
    };
    byId('filter-clear').hidden = !isOn(this.#filter);
    this.#feed.draw(this.#store.notices, this.#store.noticesLeftOut);
    this.details.draw(shown.byId, now);
    this.decision.draw(shown.reviews);
    drawTiles(shown.counts, known);
    drawNotes(this.#store.since, hidden, now);
    drawMeasures(this.#measures);
    drawConnection(this.#connection, this.#measures);
    setAttribute(document.body, 'data-known', known ? '' : null);
    if (!byId('connection-panel').hidden) drawFacts(this.#connection, this.#measures, [...this.#rooms], now);
  }
}

/** Who serves the page may go away the moment after it has given it. */
async function readWorld() {
  for (;;) {
    try {
      const response = await fetch('world.json');
      if (response.ok) return await response.json();
    } catch { /* not there */ }
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}

new Page(await readWorld());
