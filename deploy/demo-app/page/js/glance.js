// The tiles at the top and the panel of the connection.

import { byId, element, setAttribute, setText } from './dom.js';
import { duration, latency } from './format.js';
import { sparkline } from './latency.js';

const texts = { connecting: 'Connecting', live: 'Live', stale: 'Waiting for the broker', reconnecting: 'Reconnecting', refused: 'Refused' };

export function drawTiles(columns, store, openReviews) {
  setText(byId('tile-waiting'), columns.waiting.length);
  setText(byId('tile-running'), columns.running.length);
  setText(byId('tile-completed'), store.totals.completed);
  setText(byId('tile-failed'), store.totals.failed);
  setText(byId('tile-reviews'), openReviews);
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
    'Connected for': facts.since ? duration(now - facts.since) : '–',
    Session: facts.id,
    'Updates received': measures.total,
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
