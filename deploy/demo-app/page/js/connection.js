// The way to the gateway: the stock Socket.IO client, with what a page wants to know of it. It passes notifications on and
// knows nothing of tasks.

const { io } = window; // vendor/socket.io.js: minified, it would not say how its session is to go on after a reload

const noFacts = {
  transport: '–', recoveries: 0, fresh: 0, freshReason: '', replayed: 0, replayedBefore: 0, since: null, id: '–', reason: '',
};
const answerMs = 30_000;
const transports = { websocket: 'WebSocket', polling: 'long-polling', webtransport: 'WebTransport' };

export class Connection extends EventTarget {
  #socket = null;
  #connectedBefore = false;
  #cutTimer = null;
  state = 'connecting';
  facts = { ...noFacts };

  /**
   * Ends what is open and connects as `identity`: {token} or {tenant, user, reviewQueues}. With the `session` of a page that
   * was left it goes on where that one stood.
   */
  open(identity, session = null) {
    this.close();
    this.#connectedBefore = session !== null;
    this.facts = { ...noFacts };
    const socket = io({
      auth: authentication(identity), reconnectionDelay: 500, reconnectionDelayMax: 4000, forceNew: true, autoConnect: false,
    });
    this.#socket = socket;
    if (session) [socket._pid, socket._lastOffset] = session;
    socket.on('connect', () => this.#connected());
    socket.on('disconnect', (reason) => this.#lost(reason));
    socket.on('connect_error', (error) => this.#failed(error));
    for (const name of ['task.status', 'notification', 'review.alert', 'review.updated', 'review.refused'])
      socket.on(name, (notification) => this.#received(name, notification));
    for (const name of ['state', 'history'])
      socket.on(name, (detail) => this.dispatchEvent(new CustomEvent(name, { detail })));
    socket.on('session', ({ reason }) => { this.facts.freshReason = reason; });
    socket.on('stale', () => this.#to('stale'));
    socket.on('live', () => this.#to('live'));
    socket.onAny((name, ...values) => this.dispatchEvent(new CustomEvent('any', { detail: { name, values } })));
    this.#to('connecting');
    socket.connect();
  }

  /** What a page that comes after this one needs to go on, by the names of the stock client; null: there is none. */
  get session() {
    const { _pid, _lastOffset } = this.#socket ?? {};
    return _pid && _lastOffset ? [_pid, _lastOffset] : null;
  }

  close() {
    clearTimeout(this.#cutTimer);
    this.#socket?.removeAllListeners();
    this.#socket?.disconnect();
    this.#socket = null;
  }

  /**
   * Asks the gateway: subscribe or unsubscribe and a room, or an event and what it says. `answered` is given its answer,
   * {ok: true, ...} or {ok: false, error: {code, message}}, before whatever comes after it.
   */
  ask(verb, what, options, answered = () => {}) {
    this.#socket.timeout(answerMs).emit(verb, what, ...options ? [options] : [], (error, answer) =>
      answered(error ? { ok: false, error: { code: 'timeout', message: error.message } } : answer));
  }

  /** Drops the transport without a word and keeps it down for a while. */
  cut(ms) {
    const manager = this.#socket?.io;
    if (!manager?.engine) return;
    manager.reconnection(false);
    manager.engine.close();
    this.#cutTimer = setTimeout(() => {
      manager.reconnection(true);
      if (this.#socket && !this.#socket.connected) this.#socket.connect();
    }, ms);
  }

  #connected() {
    const socket = this.#socket;
    const { facts } = this;
    const again = this.#connectedBefore;
    const recovered = Boolean(socket.recovered);
    if (again) facts[recovered ? 'recoveries' : 'fresh'] += 1;
    this.#connectedBefore = true;
    Object.assign(facts, { since: Date.now(), id: socket.id, reason: '', freshReason: '', transport: transportName(socket) });
    socket.io.engine.on('upgrade', () => {
      facts.transport = transportName(socket);
      this.#changed();
    });
    this.#to('live');
    this.dispatchEvent(new CustomEvent('connected', { detail: { again, recovered } }));
  }

  #lost(reason) {
    Object.assign(this.facts, { reason, since: null, replayedBefore: this.facts.replayed });
    this.#to('reconnecting');
    this.dispatchEvent(new CustomEvent('lost', { detail: { reason } }));
  }

  #failed(error) {
    this.facts.reason = error.message;
    // The client gives up by itself only when the gateway refused it; otherwise it goes on trying.
    this.#to(this.#socket?.active ? 'reconnecting' : 'refused');
  }

  #received(name, notification) {
    const now = Date.now();
    const sent = Date.parse(notification?.time ?? '');
    // What happened before this connection was there has been caught up: no measure of live delivery.
    const live = Number.isFinite(sent) && this.facts.since !== null && sent >= this.facts.since;
    if (!live) this.facts.replayed += 1;
    this.dispatchEvent(new CustomEvent('notification', { detail: { name, notification, now, latency: live ? now - sent : null } }));
  }

  #to(state) {
    this.state = state;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

function authentication({ token, tenant, user, reviewQueues }) {
  return token ? { token } : { tenant, user, reviewQueues };
}

function transportName(socket) {
  const { name } = socket.io.engine.transport;
  return transports[name] ?? name;
}
