// The tiles at the top and the panel of the connection.

import { byId, element, setAttribute, setText } from './dom.js';
import { elapsed, latency, timeAndDay } from './format.js';
import { sparkline } from './latency.js';

const texts = { connecting: 'Connecting', live: 'Live', stale: 'Waiting for the broker', reconnecting: 'Reconnecting', refused: 'Refused' };

/** All there is, whatever is looked for; a dash while it is not known. */
export function drawTiles(counts, known) {
  for (const name of ['waiting', 'running', 'completed', 'failed', 'reviews']) setText(byId(`tile-${name}`), known ? counts[name] : '–');
}

/** What the page does not know, and what its filters hide. */
export function drawNotes(since, hidden, now) {
  setText(byId('board-note'), since ? `What has not changed since ${timeAndDay(since, now)} is not shown.` : '');
  setAttribute(byId('board-note'), 'data-since', since);
  const kinds = [[hidden.tasks, 'task', 'tasks'], [hidden.reviews, 'review', 'reviews']];
  const text = kinds.filter(([count]) => count).map(([count, one, many]) => `${count} more ${count === 1 ? one : many}`).join(', ');
  setText(byId('filter-note'), text);
}

export function drawMeasures(measures) {
  setText(byId('tile-rate'), measures.rate().toFixed(1));
  const median = measures.percentile(0.5);
  setText(byId('tile-latency'), median === null ? '–' : `${latency(median)} · ${latency(measures.percentile(0.95))}`);
  setAttribute(byId('spark-rate').firstElementChild, 'd', sparkline(measures.rates, 120, 32, 5));
  setAttribute(byId('spark-latency').firstElementChild, 'd', sparkline(measures.latencies, 120, 32, 20));
}

export function drawConnection(connection, measures) {
  const pill = byId('connection');
  setAttribute(pill, 'data-state', connection.state);
  setText(byId('connection-text'), texts[connection.state]);
  const median = measures.percentile(0.5);
  setText(byId('connection-latency'), connection.state === 'live' && median !== null ? latency(median) : '');
  byId('cut').disabled = connection.facts.since === null;
}

export function drawFacts(connection, measures, rooms, now) {
  const { facts } = connection;
  const rows = {
    State: facts.reason ? `${texts[connection.state]} (${facts.reason})` : texts[connection.state],
    Transport: facts.transport,
    'Connected for': facts.since ? elapsed(now - facts.since) : '–',
    Session: facts.id,
    'Updates since the page was loaded': measures.total,
    'Given after a break': facts.replayed,
    'Breaks recovered': facts.recoveries,
    'Fresh sessions': facts.fresh,
    Rooms: rooms.length ? rooms.join(', ') : '–',
  };
  const list = byId('connection-facts');
  if (list.childElementCount !== Object.keys(rows).length)
    list.replaceChildren(...Object.keys(rows).map((name) => element('div', {}, element('dt', {}, name), element('dd'))));
  Object.values(rows).forEach((value, index) => setText(list.children[index].lastElementChild, value));
}
