// What a person does about a review: claim, take over, release, decide. The gateway's answer says only that the command is
// in the log. What became of it is told by the review's next version, to this page and to all others; until then the command
// is on its way.

import { titleOf } from './board.js';

const heardMs = 5000; // for the review's next version
const undoMs = 8000; // a release can be taken back

const verbs = { claim: 'review.claim', take: 'review.claim', release: 'review.release', decide: 'review.decide' };
const refusals = {
  claimed: 'somebody else has it', not_claimed: 'nobody had it', unknown_decision: 'this cannot be decided', own_task: 'it is about your own task',
};

export class Commands {
  #connection;
  #names;
  #tell;
  #sent = new Map(); // review's id -> {act, version, commands, timer, unheard}; commands: all that were said about this version
  #released = new Map(); // review's id -> {version, timer}
  #changed;

  /** `tell(title, body, severity)` says what became of one; `changed()` is called when rows must be drawn anew. */
  constructor(connection, names, tell, changed) {
    this.#connection = connection;
    this.#names = names;
    this.#tell = tell;
    this.#changed = changed;
  }

  /** Somebody else looks at the page: what is on its way is no longer told. */
  clear() {
    for (const id of [...this.#sent.keys(), ...this.#released.keys()]) this.#forget(id);
  }

  /** As it looks to `user`: what may be done, and what is on its way. */
  of({ id, version, state, by }, user) {
    if (!version) return { may: [], busy: false };
    const sent = this.#sent.get(id);
    if (sent?.version === version && !sent.unheard) return { may: [], busy: true };
    if (state === 'open') return { may: [this.#released.get(id)?.version === version ? 'undo' : 'claim', 'decide'], busy: false };
    return { may: by === user ? ['decide', 'release'] : ['take'], busy: false };
  }

  /** `more`: of a decision {decision, comment}. */
  send(act, { id, version, queue }, more = {}) {
    const command = `${Date.now().toString(36)}.${Math.random().toString(36).slice(2)}`;
    const before = this.#sent.get(id);
    clearTimeout(before?.timer);
    const commands = [...before?.version === version ? before.commands : [], command];
    this.#sent.set(id, { act, version, commands, timer: setTimeout(() => this.#notHeard(id), heardMs), unheard: false });
    const payload = { review: id, version, ...more, ...act === 'take' && { take: true } };
    this.#connection.ask(verbs[act === 'undo' ? 'claim' : act], payload, { room: `review:${queue}`, id: command }, ({ ok, error }) => {
      if (!ok) this.#end(id, command, 'This was not possible', error?.message ?? 'no reason was told');
    });
    this.#changed();
  }

  /** A review.updated that is news. `shown` are the reviews as they were. */
  took({ id, version, state, by, command, decision }, shown) {
    const sent = this.#sent.get(id);
    this.#forget(id);
    if (!sent) return;
    const title = titleOf(shown.find((review) => review.id === id) ?? {});
    if (!sent.commands.includes(command)) {
      const who = by ? `${this.#names.user(by)} was faster` : 'The task went on meanwhile';
      this.#tell(who, `${title}: ${state === 'decided' ? `decided, ${decision}` : state}.`, 'warning');
    } else if (state === 'decided') {
      this.#tell('Decided', `${title}: ${decision}.`, 'success');
    } else if (sent.act === 'release') {
      this.#released.set(id, { version, timer: setTimeout(() => this.#forgetRelease(id), undoMs) });
      this.#tell('Released', `${title} is for all again; undo takes it back.`, 'info');
    }
  }

  /** A review.refused. */
  refused({ id, command, reason }) {
    this.#end(id, command, 'This was not possible', refusals[reason] ?? reason);
  }

  /** It may be done yet: then the review's next version says so. */
  #notHeard(id) {
    this.#sent.get(id).unheard = true;
    this.#tell('Nobody has answered yet', 'As far as this page knows, it is as it was. Try again.', 'warning');
    this.#changed();
  }

  #end(id, command, title, body) {
    if (this.#sent.get(id)?.commands.at(-1) !== command) return;
    this.#forget(id);
    this.#tell(title, body, 'warning');
    this.#changed();
  }

  #forget(id) {
    clearTimeout(this.#sent.get(id)?.timer);
    this.#sent.delete(id);
    this.#forgetRelease(id);
  }

  #forgetRelease(id) {
    clearTimeout(this.#released.get(id)?.timer);
    if (this.#released.delete(id)) this.#changed();
  }
}
