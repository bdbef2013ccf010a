// Small helpers for the document. Text goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** element('li', {class: 'card', 'data-phase': 'running'}, child, 'text', ...); a value of false or null leaves it out. */
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === 'function') node.addEventListener(key, value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Sets the text only if it differs: an unchanged node costs no layout. */
export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/**
 * Makes `list` show `items` in order. Nodes are kept by key, so that focus and animations survive:
 * `create(item)` makes a node, `update(node, item)` brings it up to date.
 */
export function reconcile(list, items, { key, create, update }) {
  const nodes = list.nodesByKey ?? (list.nodesByKey = new Map());
  const wanted = new Set(items.map(key));
  for (const [name, node] of nodes) {
    if (wanted.has(name)) continue;
    moveFocusFrom(node);
    node.remove();
    nodes.delete(name);
  }
  let place = list.firstElementChild;
  for (const item of items) {
    let node = nodes.get(key(item));
    if (!node) {
      node = create(item);
      nodes.set(key(item), node);
    }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else moveBefore(list, node, place);
  }
}

/** Moving a node takes the focus from it; give it back. */
function moveBefore(list, node, place) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(node, place);
  focused?.focus({ preventScroll: true });
}

function moveFocusFrom(node) {
  if (!node.contains(document.activeElement)) return;
  const neighbour = node.nextElementSibling ?? node.previousElementSibling;
  const target = neighbour?.querySelector('button') ?? node.closest('section');
  target?.focus?.({ preventScroll: true });
}
