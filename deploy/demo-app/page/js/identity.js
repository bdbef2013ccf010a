// Who looks at the page: tenants and their users from world.json, the choice in the address so that it can be shared.

import { byId, element } from './dom.js';
import { words } from './format.js';

export class Identity extends EventTarget {
  #world;
  #users = new Map();
  #projects = new Map();

  constructor(world) {
    super();
    this.#world = world;
    for (const tenant of world.tenants) {
      for (const user of tenant.users) this.#users.set(user.id, user);
      for (const project of tenant.projects) this.#projects.set(project.id, project);
    }
    const query = new URLSearchParams(location.search);
    this.tenant = world.tenants.find(({ id }) => id === query.get('tenant')) ?? world.tenants[0];
    this.user = this.tenant.users.find(({ id }) => id === query.get('user')) ?? this.tenant.users[0];
    this.#fill();
    byId('tenant').addEventListener('change', ({ target }) => this.#choose(target.value, null));
    byId('user').addEventListener('change', ({ target }) => this.#choose(this.tenant.id, target.value));
  }

  /** What the client presents to the gateway. */
  get credentials() {
    const token = new URLSearchParams(location.hash.slice(1)).get('token');
    return { token, tenant: this.tenant.id, user: this.user.id, reviewQueues: this.user.reviewQueues };
  }

  /** What deploy/config/smartstack.yaml gives at connect. */
  get rooms() {
    return [`user:${this.user.id}`, ...this.user.reviewQueues.map((queue) => `review:${queue}`), `tenant:${this.tenant.id}`];
  }

  /** Those whose items the page shows: the tenant's board and the user's review queues. */
  get followed() {
    return this.rooms.filter((room) => !room.startsWith('user:'));
  }

  get projects() {
    return this.tenant.projects;
  }

  names = {
    user: (id) => this.#users.get(id)?.name ?? id ?? '',
    project: (id) => this.#projects.get(id)?.name ?? id ?? '',
    tenant: (id) => this.#world.tenants.find((tenant) => tenant.id === id)?.name ?? id ?? '',
  };

  #choose(tenantId, userId) {
    this.tenant = this.#world.tenants.find(({ id }) => id === tenantId);
    this.user = this.tenant.users.find(({ id }) => id === userId) ?? this.tenant.users[0];
    this.#fill();
    const query = new URLSearchParams(location.search);
    query.set('tenant', this.tenant.id);
    query.set('user', this.user.id);
    history.replaceState(null, '', `?${query}${location.hash}`);
    this.dispatchEvent(new Event('change'));
  }

  #fill() {
    fillSelect(byId('tenant'), this.#world.tenants, this.tenant.id);
    const users = this.tenant.users.map(({ id, name, reviewQueues }) => ({ id, name: reviewQueues.length ? `${name} (reviewer)` : name }));
    fillSelect(byId('user'), users, this.user.id);
    fillSelect(byId('project'), [{ id: '', name: 'All projects' }, ...this.projects], '');
    fillSelect(byId('queue'), [{ id: '', name: 'All queues' }, ...this.user.reviewQueues.map((id) => ({ id, name: words(id) }))], '');
    byId('queue').hidden = this.user.reviewQueues.length < 2;
    byId('review-queues').textContent = this.user.reviewQueues.length
      ? this.user.reviewQueues.map(words).join(', ')
      : `${this.user.name} reviews nothing`;
  }
}

function fillSelect(select, choices, chosen) {
  select.replaceChildren(...choices.map(({ id, name }) => element('option', { value: id, selected: id === chosen }, name)));
}
