// The dialog in which a review is decided: what, and why. It stands on one version of the review; when that is not the
// review's any more, it says who was there, and decides nothing.

import { titleOf } from './board.js';
import { byId, element, setText } from './dom.js';
import { words } from './format.js';

export class Decision {
  #review = null;

  /** `decide(review, {decision, comment})` is called with what was decided. */
  constructor(names, decide) {
    this.names = names;
    this.dialog = byId('decision');
    byId('decision-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const review = this.#review;
      const comment = byId('decision-comment').value.trim();
      const decision = new FormData(event.target).get('decision');
      this.dialog.close();
      decide(review, { decision, ...comment && { comment } });
    });
    byId('decision-cancel').addEventListener('click', () => this.dialog.close());
    this.dialog.addEventListener('close', () => { this.#review = null; });
    this.dialog.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !byId('decision-submit').disabled) byId('decision-form').requestSubmit();
    });
  }

  /** `chosen`: which is chosen at first. */
  open(review, chosen = review.decisions[0]) {
    this.#review = review;
    setText(byId('decision-title'), titleOf(review));
    setText(byId('decision-about'), `${words(review.queue)} · ${words(review.reason)}`);
    byId('decision-choices').replaceChildren(...review.decisions.map((name) => element('label', { class: 'choice' },
      element('input', { type: 'radio', name: 'decision', value: name, checked: name === chosen }), words(name))));
    byId('decision-comment').value = '';
    this.#allow('');
    this.dialog.showModal();
    byId('decision-comment').focus();
  }

  /** `reviews` are all that the page shows. */
  draw(reviews) {
    if (!this.#review) return;
    const now = reviews.find(({ id }) => id === this.#review.id);
    if (!now) this.#allow('It has been decided, or its task went on meanwhile.');
    else if (now.version !== this.#review.version) this.#allow(now.by ? `${this.names.user(now.by)} has it now.` : 'It was released meanwhile.');
  }

  #allow(why) {
    byId('decision-submit').disabled = why !== '';
    setText(byId('decision-why'), why);
  }
}
