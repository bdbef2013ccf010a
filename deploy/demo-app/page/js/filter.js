// Which tasks and reviews are looked at. Pure.

const fields = ['q', 'project', 'priority', 'queue', 'mine'];

export const nothing = { q: '', project: '', priority: '', queue: '', mine: '' };

/** From the address, so that a view can be shared and stays over a reload. */
export function filterOf(query) {
  return Object.fromEntries(fields.map((name) => [name, query.get(name) ?? '']));
}

export function putFilter(query, filter) {
  for (const name of fields) {
    if (filter[name]) query.set(name, filter[name]);
    else query.delete(name);
  }
}

export function isOn(filter) {
  return fields.some((name) => filter[name]);
}

/** A function that tells whether a task or a review is wanted. All words of `q` must be in what its card says. */
export function matcher(filter, { user, names }) {
  const wanted = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
  return (item) => (!filter.project || item.projectId === filter.project)
    && (!filter.priority || item.priority === filter.priority)
    && (!filter.queue || item.queue === undefined || item.queue === filter.queue)
    && (!filter.mine || item.userId === user || item.by === user)
    && has(item, wanted, names);
}

function has(item, wanted, names) {
  if (wanted.length === 0) return true;
  const text = [item.title, item.taskId, item.type, item.reason, item.queue, names.project(item.projectId), names.user(item.userId)]
    .join(' ').toLowerCase();
  return wanted.every((word) => text.includes(word));
}
