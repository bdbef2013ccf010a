// Brings the store what each room shows: asks for the state where the page does not have it, and again after a session was
// lost or an answer did not come.

const againMs = 2000;
const passing = ['timeout', 'unavailable', 'too_many_requests'];
const stateless = ['no_state', 'bad_history']; // a gateway that gives none, or of an older version

export class Rooms {
  #connection;
  #store;
  #report;
  #session = 0; // answers to what an earlier connection asked are nobody's

  /** `report({changed: true})` or `report({refused: {room, message}})`. */
  constructor(connection, store, report) {
    this.#connection = connection;
    this.#store = store;
    this.#report = report;
    connection.addEventListener('state', ({ detail }) => store.state(detail));
    connection.addEventListener('lost', () => { this.#session += 1; });
  }

  connected(recovered) {
    this.#session += 1;
    if (!recovered) this.#store.forget();
    for (const room of this.#store.unanswered) this.#ask(room, this.#session);
  }

  #ask(room, session) {
    if (session !== this.#session) return;
    this.#connection.ask('subscribe', room, { state: true }, (answer) => {
      if (session === this.#session) this.#answered(room, answer, session);
    });
  }

  #answered(room, { ok, state, error }, session) {
    if (!ok && passing.includes(error?.code)) {
      setTimeout(() => this.#ask(room, session), againMs);
      return;
    }
    // Without a state the page knows what happens from now on, and no more.
    if (!ok) this.#store.state({ room, first: true, items: [] });
    this.#store.answered(room, ok ? state : { complete: false, since: Date.now() });
    this.#report({ changed: true, refused: ok || stateless.includes(error?.code) ? null : { room, message: error?.message ?? 'no reason' } });
  }
}
