/* Every limit that the tables "What grows, and how far" of gateway/*\/README.md name, filled from outside to the limit and beyond:
 * the gateway lives and answers the others, its memory is bounded, and the metric of the row has moved. A row without a trial
 * here fails.
 *
 *   node tests/hostile/limits.test.mjs [--only SETTING] */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import { token } from '../integration/lib/client.mjs';
import { SLOW, SOURCE_DIR } from '../integration/lib/places.mjs';
import { WebSocketClient } from '../integration/lib/streams.mjs';
import { eventually, sleep } from '../integration/lib/wait.mjs';
import { merge, RULES, SECRET, taskEvent, TOPICS, World } from '../integration/lib/world.mjs';
import { status } from './lib/attack.mjs';
import { frame, openPolling, openWebSocket, poll, post, Raw, request, target, upgrade } from './lib/raw.mjs';

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const PATIENCE = 10000 * SLOW;
/* What the release build may need above what it has at rest, whatever is tried. */
const MEMORY_MOST_KB = 64 * 1024;

/* A room that shows items. */
const BOARD = `  - name: board
    when: {"event": ["task.item"]}
    notify: {type: task.status, rooms: ["task:board"], state: "{taskId}"}
`;

/* --- the tables --- */

const LAYERS = ['domain', 'transport', 'infra'];
const quoted = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]);

/* What is no setting is a word of refusal or a constant; `.age` belongs to the setting before it. */
function settingsOf(cell) {
    let group = '';
    return quoted(cell).flatMap((word) => {
        const name = word.startsWith('.') ? group + word : word;
        if (!/^[a-z_]+(\.[a-z_]+)+$/.test(name))
            return [];
        group = name.replace(/\.[a-z_]+$/, '');
        return [name];
    });
}

/* Rows of the layer's table: {layer, what, settings, metrics}. */
function readTable(layer) {
    const text = fs.readFileSync(path.join(SOURCE_DIR, 'gateway', layer, 'README.md'), 'utf8');
    const section = text.split(/^## /m).find((part) => /^(What grows|Queues)/.test(part));
    const lines = (section ?? '').split('\n').filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
    const [head = [], , ...body] = lines;
    const at = Math.max(head.findIndex((cell) => cell.startsWith('setting')), 1);
    return body.map((cells) => ({ layer, what: cells[0], settings: settingsOf(cells[at]), metrics: quoted(cells.at(-1)) }));
}
const rows = LAYERS.flatMap(readTable);

/* --- metrics --- */

/* name{label="value"}: its sum over all series that have these labels; undefined: there is none. */
function read(text, metric) {
    const [name, labels = ''] = metric.replace('}', '').split('{');
    const series = text.split('\n').filter((line) => ['smartstack_gateway_', 'smartstack_', ''].includes(line.split(/[{ ]/)[0].replace(new RegExp(`${name}$`), '')));
    const fitting = series.filter((line) => labels.split(',').every((label) => line.includes(label)));
    return fitting.length ? fitting.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) : undefined;
}
const scrape = async (gateway) => (await fetch(`${gateway.operations ?? gateway.url}/metrics`)).text();

/* --- what clients do --- */

const bearer = (sub, more = {}) => token({ sub, tenant: 'acme', ...more }, SECRET);
const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));
const portOf = (gateway) => Number(new URL(gateway.url).port);

/* One request on a connection of its own; the whole answer, as text. */
async function exchange(gateway, bytes) {
    const raw = new Raw(portOf(gateway)).write(bytes);
    const size = () => Number(raw.text().match(/content-length: (\d+)/i)?.[1] ?? 0);
    await raw.until(() => raw.closed || raw.text().split('\r\n\r\n')[1]?.length >= size(), PATIENCE);
    const text = raw.text();
    raw.reset();
    return text;
}

/* A long-polling client that is let in, sends packets, and asks for nothing of what it is owed until it is too late: its session
 * must end. What it gets then. */
async function askUnread(gateway, packets, portion = 200) {
    const { sid } = await openPolling(portOf(gateway), '/socket.io/');
    for (const all = [`40${JSON.stringify({ token: bearer('unread') })}`, ...packets]; all.length;)
        await exchange(gateway, post('/socket.io/', sid, all.splice(0, portion).join('\x1e')));
    let text = '';
    await eventually(async () => {
        const answer = await exchange(gateway, poll('/socket.io/', sid));
        text += answer;
        return answer.startsWith('HTTP/1.1 400');
    }, { timeout: PATIENCE, interval: 0, what: () => `the end of the session: ${text.slice(-300)}` });
    assert.match(text, /"error",\{"code":"too_many_answers"/, 'it is not told why');
    return text;
}

/* When a room has that much of a past. */
async function past(gateway, room, last) {
    await eventually(async () => (await refusedSubscribe(gateway, [room], { last })).history?.count === last,
        { timeout: PATIENCE, interval: 200, what: `a history of ${last}` });
}

/* A long-polling client that asks for a past and does not poll; its sid. */
async function askPast(gateway, tenant, room, count) {
    const { sid } = await openPolling(portOf(gateway), '/socket.io/');
    await exchange(gateway, post('/socket.io/', sid, `40${JSON.stringify({ token: bearer('unread', { tenant }) })}`));
    await sleep(500);
    for (let i = 0; i < count; i++) {
        await exchange(gateway, post('/socket.io/', sid, `42${i}["subscribe",${JSON.stringify(room)},{"last":5}]`));
        await sleep(20); // each is whole before the next one is asked for
    }
    await sleep(1000);
    return sid;
}

/* The same, and what it is told when it polls after all. */
async function readLate(gateway, tenant, room, count = 20) {
    const sid = await askPast(gateway, tenant, room, count);
    let text = '';
    await eventually(async () => {
        text += await exchange(gateway, poll('/socket.io/', sid));
        return text.includes(`43${count - 1}[`);
    }, { timeout: PATIENCE, interval: 0, what: () => `the last answer: ${text.slice(-300)}` });
    await leave(gateway, sid);
    return text;
}

/* A gateway that stops waits for long-polling clients to come for what is theirs. */
const leave = (gateway, sid) => exchange(gateway, post('/socket.io/', sid, '1'));

async function socketio(gateway, sub = 'limits', more = {}) {
    target.connect = `40${JSON.stringify({ token: bearer(sub, more) })}`;
    target.connected = '"pid"';
    const raw = await openWebSocket(portOf(gateway), '/socket.io/');
    assert.ok(!raw.closed, 'it is not let in');
    return raw;
}

/* Sends the packets at once; what came until an answer with each of the ids has, or the connection has ended. */
async function askAtOnce(raw, packets, answers) {
    raw.write(Buffer.concat(packets.map((packet) => frame(1, packet))));
    await raw.until(() => raw.closed || answers.every((answer) => raw.text().includes(answer)), PATIENCE);
    const text = raw.text();
    raw.reset();
    return text;
}

const subscribe = (id, room, options) => `42${id}["subscribe","${room}"${options ? `,${JSON.stringify(options)}` : ''}]`;
const acks = (count) => many(count, (i) => `43${i}[`);

/* A raw WebSocket; it connects again whenever it is closed, until all are at rest. */
const clients = [];
function client(gateway, options = {}) {
    clients.push(new WebSocketClient(gateway.url, { token: bearer('limits'), resume: false, ...options }));
    return clients.at(-1).connect();
}

async function refusedSubscribe(gateway, rooms, more = {}) {
    const one = await client(gateway);
    const answer = await one.ask({ type: 'subscribe', rooms, ...more });
    one.disconnect();
    return answer;
}

/* Notifications for a room, so many bytes each. */
async function publish(backend, taskId, count, bytes) {
    for (let n = 0; n < count;) {
        const portion = Math.min(200, count - n);
        await backend.events(many(portion, () => taskEvent({ taskId, n: ++n, data: { n, text: 'x'.repeat(bytes) } })));
    }
}

let floods = 0;

/* A long-polling client that does not ask for what it is owed, so that no socket holds it; then it does, and gets everything. */
async function fallBehind({ gateway, backend }, count = 60) {
    const task = `flood-${++floods}`; // what has come once, the dispatcher lets pass no second time
    const { sid } = await openPolling(portOf(gateway), '/socket.io/');
    const ask = async (bytes) => {
        const text = await exchange(gateway, bytes);
        assert.match(text, /^HTTP\/1\.1 200/);
        return text;
    };
    await ask(post('/socket.io/', sid, `40${JSON.stringify({ token: bearer('slow') })}\x1e${subscribe(0, `task:${task}`)}`));
    let text = '';
    await eventually(async () => (text += await ask(poll('/socket.io/', sid))).includes('430['), { timeout: PATIENCE, what: () => `the subscription: ${text}` });
    await publish(backend, task, count, 1000);
    return {
        async readAll() {
            const numbers = () => [...text.matchAll(/"n":(\d+)/g)].map((match) => Number(match[1]));
            await eventually(async () => {
                text += await ask(poll('/socket.io/', sid));
                return numbers().length >= count;
            }, { timeout: PATIENCE, interval: 0, what: () => `${numbers().length} of ${count}` });
            assert.deepEqual(numbers(), many(count, (i) => i + 1));
        },
        async pollUntil(pattern) {
            await eventually(async () => pattern.test(text += await exchange(gateway, poll('/socket.io/', sid))), { timeout: PATIENCE, what: () => `${pattern}: ${text.slice(-300)}` });
        },
        /* So that the gateway, when it ends, does not wait for it. */
        leave: () => exchange(gateway, post('/socket.io/', sid, '1')),
    };
}

/* --- the trials: by setting; `settings` are the gateway's, `alone` if no other trial can live with them --- */

const flooded = async (stage) => {
    const before = read(await scrape(stage.gateway), 'behind_total');
    const slow = await fallBehind(stage);
    await eventually(async () => read(await scrape(stage.gateway), 'behind_total') > before, { timeout: PATIENCE, what: 'a session behind' });
    await slow.readAll();
    await slow.leave();
};

const refusedEvent = (word, packets) => async ({ gateway }) => {
    const text = await askAtOnce(await socketio(gateway), packets, acks(packets.length));
    assert.match(text, new RegExp(word));
};

/* The same while the broker takes nothing, so that what is let through waits. */
const refusedWithoutBroker = (packets) => async ({ gateway, broker }) => {
    const raw = await socketio(gateway);
    broker.program.pause();
    try {
        raw.write(Buffer.concat(packets.map((packet) => frame(1, packet))));
        assert.ok(await raw.until(() => raw.text().includes('"ok":false'), PATIENCE), raw.text().slice(-300));
    } finally {
        broker.program.resume();
    }
    raw.reset();
};

const trials = {
    'limits.outbox': { settings: { limits: { outbox: 8 } }, try: flooded, metrics: ['behind_total'] },
    'limits.outbox_bytes': { settings: { limits: { outbox_bytes: '4KiB' } }, alone: true, try: flooded, metrics: ['behind_total'] },
    'limits.behind_timeout': {
        settings: { limits: { outbox: 8, behind_timeout: '1s' } }, alone: true, metrics: ['behind_closed_total'],
        try: async (stage) => {
            const slow = await fallBehind(stage);
            await eventually(async () => read(await scrape(stage.gateway), 'behind_closed_total') > 0, { timeout: PATIENCE, what: 'its end' });
            await slow.pollUntil(/too_slow/);
            await slow.pollUntil(/HTTP\/1\.1 400/);
        },
    },
    'recovery.horizon': {
        settings: { recovery: { horizon: '4KiB', read_back: 0 }, limits: { ring: '4KiB' } }, alone: true, metrics: ['gaps_total'],
        try: async ({ gateway, backend }) => {
            const enter = async (more, shows) => {
                const raw = new Raw(portOf(gateway)).write(upgrade('/socket.io/'));
                await raw.until(() => raw.text().includes('maxPayload'), PATIENCE);
                raw.write(frame(1, `40${JSON.stringify({ token: bearer('far'), ...more })}`));
                if (!more.pid)
                    raw.write(frame(1, subscribe(0, 'task:far')));
                assert.ok(await raw.until(() => raw.text().includes(shows), PATIENCE), raw.text());
                raw.reset();
                return raw.text();
            };
            const text = await enter({}, '430[');
            const one = await client(gateway);
            await one.subscribe('task:far');
            await publish(backend, 'far', 60, 1000);
            await eventually(() => one.received.length === 60, { timeout: PATIENCE, what: 'all sixty' });
            one.disconnect();
            await enter({ pid: text.match(/"pid":"([^"]+)"/)[1], offset: text.match(/"subscribed",\{[^}]*\},"([^"]+)"/)[1] }, 'too_far');
        },
    },
    'limits.lane_linger': {
        settings: { limits: { lane_linger: '0s' } }, alone: true, metrics: [],
        try: async ({ gateway }) => {
            const lanes = async (count) => eventually(async () => read(await scrape(gateway), 'lanes') === count, { timeout: PATIENCE, what: `${count} lanes` });
            const before = read(await scrape(gateway), 'lanes');
            const one = await client(gateway, { token: bearer('lanes', { reviewQueues: ['legal'] }) });
            await lanes(before + 1);
            one.disconnect();
            await lanes(before);
        },
    },
    'limits.rooms_per_record': {
        settings: { limits: { rooms_per_record: 1 } }, alone: true, metrics: ['records_faulty_total{reason="rooms"}'],
        try: async ({ gateway, backend }) => {
            await backend.events([taskEvent({ taskId: 'two-rooms', n: 1, event: 'task.completed', data: { confidence: 0.1 } })]);
            await eventually(async () => read(await scrape(gateway), 'records_faulty_total{reason="rooms"}') > 0, { timeout: PATIENCE, what: 'a record passed over' });
        },
    },
    'limits.ring': { settings: { limits: { ring: '4KiB' } }, try: flooded, metrics: ['scans_total'] },
    'recovery.read_back': { settings: { recovery: { read_back: '4KiB' } }, try: flooded, metrics: ['scans_total'] },
    'recovery.scans': { settings: { recovery: { scans: 1 } }, try: flooded, metrics: ['scans_total'] },
    'limits.answers': {
        settings: { limits: { answers: 1024 } }, alone: true, metrics: ['sessions_ended_total{reason="too_many_answers"}'],
        try: ({ gateway }) => askUnread(gateway, many(3000, (i) => subscribe(i, `task:${i % 3}`))),
    },
    'limits.answer_bytes': {
        settings: { limits: { answers: 100000, answer_bytes: '512KiB' } }, alone: true, metrics: ['sessions_ended_total{reason="too_many_answers"}'],
        try: ({ gateway }) => askUnread(gateway, many(6000, (i) => subscribe(i, `nowhere:${'x'.repeat(100)}`))),
    },
    'limits.sessions': {
        settings: { limits: { sessions: 10 } }, alone: true, metrics: ['stream_connections_refused_total{transport="websocket"}', 'sessions_total{event="refused"}'],
        try: async ({ gateway }) => {
            const all = await Promise.all(many(20, () => openWebSocket(portOf(gateway), '/ws')));
            await eventually(() => all.filter((raw) => raw.closed).length >= 10, { timeout: PATIENCE, what: 'those beyond the limit refused' });
            assert.ok(all.some((raw) => !raw.closed), 'nobody was let in');
            all.forEach((raw) => raw.reset());
        },
    },
    'limits.rooms_per_session': {
        settings: { limits: { rooms_per_session: 8 } }, metrics: ['joins_refused_total'],
        try: async ({ gateway }) => {
            const text = await askAtOnce(await socketio(gateway), many(12, (i) => subscribe(i, `task:r${i}`)), acks(12));
            assert.match(text, /too_many_rooms/);
        },
    },
    'limits.lanes_per_session': {
        settings: { limits: { lanes_per_session: 2 } }, metrics: ['joins_refused_total'],
        try: async ({ gateway }) => {
            const raw = await socketio(gateway, 'lanes', { reviewQueues: ['legal'] });
            assert.match(await askAtOnce(raw, [subscribe(0, 'review:second'), subscribe(1, 'review:third')], acks(2)), /too_many_lanes/);
        },
    },
    'limits.pending_joins': {
        settings: { limits: { pending_joins: 2 } }, metrics: ['joins_refused_total'],
        try: async ({ gateway }) => {
            const text = await askAtOnce(await socketio(gateway), many(8, (i) => subscribe(i, `task:p${i}`, { last: 5 })), acks(8));
            assert.match(text, /too_many_requests/);
        },
    },
    'history.messages': {
        settings: { history: { messages: 5 } }, metrics: ['histories_incomplete_total'],
        try: async ({ gateway, backend }) => {
            await publish(backend, 'past', 20, 10);
            const answer = await eventually(async () => {
                const got = await refusedSubscribe(gateway, ['task:past'], { last: 20 });
                return got.history?.count === 5 && got;
            }, { timeout: PATIENCE, interval: 200, what: 'a history of five' });
            assert.equal(answer.history.complete, false);
        },
    },
    'state.items': {
        settings: { state: { items: 3 } }, metrics: ['states_incomplete_total'],
        try: async ({ gateway, backend }) => {
            await backend.events(many(6, (n) => taskEvent({ taskId: `item-${n}`, n, event: 'task.item' })));
            const answer = await eventually(async () => {
                const got = await refusedSubscribe(gateway, ['task:board'], { state: true });
                return got.state?.count === 3 && got;
            }, { timeout: PATIENCE, interval: 200, what: 'a state of three items' });
            assert.equal(answer.state.complete, false);
        },
    },
    'history.bytes': {
        settings: { history: { bytes: '4KiB' }, limits: { ring: '4KiB' } }, alone: true, metrics: ['histories_incomplete_total'],
        try: async ({ gateway, backend }) => {
            await publish(backend, 'long', 20, 2000);
            await eventually(async () => (await refusedSubscribe(gateway, ['task:long'], { last: 20 })).history?.complete === false,
                { timeout: PATIENCE, interval: 200, what: 'a history that was cut off' });
        },
    },
    'history.age': {
        settings: { history: { age: '1s' } }, alone: true, metrics: ['histories_incomplete_total'],
        try: async ({ gateway, backend }) => {
            const one = await client(gateway);
            await one.subscribe('task:old');
            await publish(backend, 'old', 5, 10);
            await eventually(() => one.received.length === 5, { timeout: PATIENCE, what: 'all five' });
            one.disconnect();
            await eventually(async () => {
                const { history } = await refusedSubscribe(gateway, ['task:old'], { last: 20 });
                return history?.count === 0 && !history.complete;
            }, { timeout: PATIENCE, interval: 300, what: 'an empty history' });
        },
    },
    'history.buffered': {
        settings: { history: { buffered: '64KiB' } }, metrics: ['histories_incomplete_total'],
        try: async ({ gateway, backend }) => {
            await publish(backend, 'large', 20, 8000);
            await eventually(async () => (await refusedSubscribe(gateway, ['task:large'], { last: 5 })).history?.complete === false,
                { timeout: PATIENCE, interval: 200, what: 'a history that was cut off' });
        },
    },
    'history.session_buffered': {
        settings: { history: { session_buffered: '64KiB' } }, alone: true, metrics: ['histories_refused_total{reason="session"}', 'histories_cut_total{reason="session"}'],
        try: async ({ gateway, backend }) => {
            await publish(backend, 'unread', 20, 8000);
            await past(gateway, 'task:unread', 5);
            assert.match(await readLate(gateway, 'acme', 'task:unread'), /"code":"too_much_unread"/);
            const { history } = await refusedSubscribe(gateway, ['task:unread'], { last: 5 }); // another session's
            assert.deepEqual([history?.count, history?.complete], [5, true]);
        },
    },
    'history.tenant_buffered': {
        settings: { history: { session_buffered: '64KiB', tenant_buffered: '64KiB' }, limits: { pending_joins: 100 } }, alone: true,
        metrics: ['histories_refused_total{reason="tenant"}'],
        try: async ({ gateway, backend }) => {
            await publish(backend, 'theirs', 20, 8000);
            await past(gateway, 'task:theirs', 5);
            const held = await askPast(gateway, 'acme', 'task:theirs', 20);
            const text = await readLate(gateway, 'acme', 'task:theirs', 1); // another session of the tenant
            assert.match(text, /"code":"too_much_unread"/);
            const other = await readLate(gateway, 'umbrella', 'task:theirs', 1); // and another tenant
            assert.doesNotMatch(other, /too_much_unread/);
            await leave(gateway, held);
        },
    },
    'socketio.queue': {
        settings: { socketio: { queue: '16KiB' } }, metrics: ['engineio_closed_total{reason="overflow"}'],
        try: ({ gateway }) => askUnread(gateway, many(1000, (i) => `42${i}["no such event"]`), 100),
    },
    'socketio.max_payload': {
        settings: { socketio: { max_payload: '100KiB' } }, metrics: ['http_answers_total{code="4xx"}'],
        try: async ({ gateway }) => {
            const { sid } = await openPolling(portOf(gateway), '/socket.io/');
            assert.match(await exchange(gateway, post('/socket.io/', sid, `4${'x'.repeat(200000)}`)), /^HTTP\/1\.1 413/);
        },
    },
    'socketio.json_depth': {
        settings: { socketio: { json_depth: 4 } }, metrics: ['refusals_total{reason="too_deep"}'],
        try: async ({ gateway }) => {
            const raw = await socketio(gateway);
            raw.write(frame(1, `420["task.cancel",${'['.repeat(10)}${']'.repeat(10)}]`));
            assert.ok(await raw.until(() => raw.text().includes('too_deep'), PATIENCE), raw.text());
            raw.reset();
        },
    },
    'websocket.max_message': {
        settings: { websocket: { max_message: '1KiB' } }, metrics: ['websocket_violations_total'],
        try: async ({ gateway }) => {
            const one = await client(gateway);
            one.open = false; // it does not return
            one.send({ type: 'ping', id: 'x'.repeat(3000) });
            await eventually(() => one.closes[0]?.code === 1009, { timeout: PATIENCE, what: () => `1009: ${JSON.stringify(one.closes)}` });
        },
    },
    'websocket.queue': {
        settings: { websocket: { queue: '4KiB' } }, metrics: ['websocket_violations_total'],
        try: async ({ gateway }) => {
            const raw = await openWebSocket(portOf(gateway), '/ws');
            raw.socket.pause();
            const pings = Buffer.concat(many(2000, (i) => frame(1, `{"type":"ping","id":"${i}${'x'.repeat(200)}"}`)));
            const before = read(await scrape(gateway), 'websocket_violations_total');
            await eventually(async () => {
                raw.write(pings);
                return read(await scrape(gateway), 'websocket_violations_total') > before;
            }, { timeout: PATIENCE, interval: 100, what: 'too many answers' });
            raw.reset();
        },
    },
    'websocket.max_rooms': {
        settings: { websocket: { max_rooms: 5 } }, metrics: ['refusals_total{reason="too_many_rooms"}'],
        try: async ({ gateway }) => {
            const one = await client(gateway);
            one.send({ type: 'subscribe', id: 1, rooms: many(6, (i) => `task:${i}`) });
            await eventually(() => one.messages.some(({ type }) => type === 'error'), { timeout: PATIENCE, what: 'an error' });
            one.disconnect();
        },
    },
    'websocket.pending_requests': {
        settings: { websocket: { pending_requests: 2 } }, metrics: ['refusals_total{reason="too_many_requests"}'],
        try: async ({ gateway }) => {
            const one = await client(gateway);
            const answers = await Promise.all(many(8, (i) => one.ask({ type: 'subscribe', rooms: [`task:q${i}`], last: 1 })));
            assert.ok(answers.some(({ error }) => error?.code === 'too_many_requests'), JSON.stringify(answers));
            one.disconnect();
        },
    },
    'sse.max_rooms': {
        settings: { sse: { max_rooms: 5 } }, metrics: ['http_answers_total{code="4xx"}'],
        try: async ({ gateway }) => {
            const query = many(6, (i) => `room=task:${i}`).join('&');
            const raw = new Raw(portOf(gateway)).write(request('GET', `/sse?${query}`, { fields: [`Authorization: Bearer ${bearer('limits')}`] }));
            await raw.answered(1, PATIENCE);
            assert.ok(raw.codes()[0] >= 400, String(raw.codes()));
            raw.reset();
        },
    },
    'http.connections': {
        settings: { http: { connections: 12 } }, alone: true, metrics: ['connections_total{event="refused"}'],
        try: async ({ gateway }) => {
            const all = many(40, () => new Raw(portOf(gateway)));
            await eventually(() => all.filter((raw) => raw.closed).length >= 20, { timeout: PATIENCE, what: 'those beyond the limit refused' });
            all.forEach((raw) => raw.reset());
        },
    },
    'http.accepts_per_second': {
        settings: { http: { accepts_per_second: 20 } }, alone: true, metrics: ['accepts_held_back_total'],
        try: async ({ gateway }) => {
            const all = many(60, () => new Raw(portOf(gateway)).write(request('GET', '/nothing')));
            await Promise.all(all.map((raw) => raw.answered(1, PATIENCE)));
            assert.deepEqual(all.flatMap((raw) => raw.codes()), many(60, () => 404));
            all.forEach((raw) => raw.reset());
        },
    },
    'token.refusals': {
        settings: { token: { refusals: 2 } }, metrics: ['refusals_total{reason="too_many_refusals"}'],
        try: async ({ gateway }) => {
            const bare = new Raw(portOf(gateway));
            bare.write(upgrade('/socket.io/'));
            await bare.until(() => bare.text().includes('maxPayload'), PATIENCE);
            bare.write(Buffer.concat(many(5, () => frame(1, '40{"token":"none"}'))));
            assert.ok(await bare.ended(PATIENCE), 'it may go on');
            assert.match(bare.text(), /too_many_refusals/);
        },
    },
    'token.checks_per_turn': {
        settings: { token: { checks_per_turn: 1 } }, alone: true, metrics: [],
        try: async ({ gateway }) => {
            const all = await Promise.all(many(40, (i) => socketio(gateway, `turn-${i}`)));
            all.forEach((raw) => raw.reset());
        },
    },
    'client_events.max_size': {
        settings: { client_events: { max_size: '1KiB' } }, metrics: ['client_events_refused_total{reason="too_large"}'],
        try: refusedEvent('too_large', [`420["task.cancel","${'x'.repeat(3000)}"]`]),
    },
    'client_events.burst': {
        settings: { client_events: { burst: 4, rate: 1 } }, metrics: ['client_events_refused_total{reason="rate_limited"}'],
        try: refusedEvent('rate_limited', many(12, (i) => `42${i}["task.cancel"]`)),
    },
    'client_events.rate': {
        settings: { client_events: { burst: 4, rate: 1 } }, metrics: ['client_events_refused_total{reason="rate_limited"}'],
        try: async ({ gateway }) => {
            const raw = await socketio(gateway, 'rate');
            const started = performance.now();
            const taken = () => raw.text().split('{"ok":true').length - 1;
            await eventually(() => {
                raw.write(frame(1, '421["task.cancel"]'));
                return taken() >= 6;
            }, { timeout: PATIENCE, interval: 50, what: () => `six events, ${taken()} were taken` });
            const most = 4 + (performance.now() - started) / 1000 + 1;
            assert.ok(taken() <= most, `${taken()} events were taken, at most ${most}`);
            raw.reset();
        },
    },
    'client_events.pending': {
        settings: { client_events: { pending: 2, rate: 1000, burst: 1000 } }, alone: true, metrics: ['client_events_refused_total{reason="too_many_requests"}'],
        try: refusedEvent('too_many_requests', many(50, (i) => `42${i}["task.cancel"]`)),
    },
    'client_events.buffered': {
        settings: { client_events: { buffered: 2, pending: 1000, rate: 1000, burst: 1000 } }, alone: true, metrics: ['client_events_total{event="failed"}'],
        try: refusedWithoutBroker(many(100, (i) => `42${i}["task.cancel"]`)),
    },
    'client_events.buffered_bytes': {
        settings: { client_events: { buffered_bytes: '1MiB', max_size: '800KiB', pending: 1000, rate: 1000, burst: 1000 } }, alone: true, metrics: ['client_events_total{event="failed"}'],
        try: refusedWithoutBroker(many(12, (i) => `42${i}["task.cancel","${'x'.repeat(500000)}"]`)),
    },
    'limits.records_per_turn': {
        settings: { limits: { records_per_turn: 1 } }, alone: true, metrics: [],
        try: async ({ gateway, backend }) => {
            const one = await client(gateway);
            await one.subscribe('task:turns');
            await publish(backend, 'turns', 400, 10);
            await eventually(() => one.received.length === 400, { timeout: PATIENCE, what: () => `${one.received.length} of 400` });
            one.disconnect();
        },
    },
};

/* What a user, a tenant or an address asks for beyond what it may; the witness is another's and asks for less. */
const overQuota = {
    sessions: ({ gateway }) => Promise.all(many(8, () => openWebSocket(portOf(gateway), '/ws'))).then((all) => all.forEach((raw) => raw.reset())),
    connects: ({ gateway }) => Promise.all(many(30, () => openWebSocket(portOf(gateway), '/ws'))).then((all) => all.forEach((raw) => raw.reset())),
    subscribes: refusedEvent('rate_limited', many(30, (i) => subscribe(i, 'task:quota'))),
    histories: refusedEvent('rate_limited', many(20, (i) => subscribe(i, 'task:quota', { last: 1 }))),
    events: refusedEvent('rate_limited', many(30, (i) => `42${i}["task.cancel"]`)),
};
for (const [scope, kinds] of [['user', Object.keys(overQuota)], ['tenant', Object.keys(overQuota)], ['address', ['sessions', 'connects']]]) {
    for (const kind of kinds) {
        trials[`quotas.${scope}.${kind}`] = {
            settings: { quotas: { burst: '1s', [scope]: { [kind]: 4 } } }, alone: true, metrics: [`quota_refusals_total{quota="${scope}_${kind}"}`], try: overQuota[kind],
        };
    }
}

/* Rows whose limit is fixed, by their first cell. */
const fixed = {
    "a request's line, head, fields": {
        settings: {}, metrics: ['refusals_total{reason="head_too_large"}'],
        try: async ({ gateway }) => {
            assert.match(await exchange(gateway, request('GET', '/socket.io/', { fields: many(4, (i) => `X-${i}: ${'x'.repeat(5000)}`) })), /^HTTP\/1\.1 431/);
            assert.match(await exchange(gateway, request('GET', `/${'x'.repeat(10000)}`)), /^HTTP\/1\.1 414/);
            assert.match(await exchange(gateway, request('GET', '/socket.io/', { fields: many(120, (i) => `X-${i}: x`) })), /^HTTP\/1\.1 431/);
        },
    },
    'requests behind one that is not answered': {
        settings: {}, metrics: ['refusals_total{reason="too_many_requests"}'],
        try: async ({ gateway }) => {
            const { sid } = await openPolling(portOf(gateway), '/socket.io/');
            const raw = new Raw(portOf(gateway)).write(poll('/socket.io/', sid)); // is held
            raw.write(Buffer.concat(many(2000, () => request('GET', '/nothing'))));
            assert.ok(await raw.ended(PATIENCE), 'it may go on');
        },
    },
    'cursors and private ids': {
        settings: {}, metrics: ['sessions_total{event="not_recovered"}'],
        try: async ({ gateway }) => {
            const raw = new Raw(portOf(gateway)).write(upgrade('/socket.io/'));
            await raw.until(() => raw.text().includes('maxPayload'), PATIENCE);
            raw.write(frame(1, `40${JSON.stringify({ token: bearer('long'), pid: 'x'.repeat(20), offset: 'x'.repeat(20000) })}`));
            assert.ok(await raw.until(() => raw.text().includes('"recovered":false'), PATIENCE), raw.text());
            raw.reset();
        },
    },
    'connections at the operations port': {
        settings: {}, metrics: [],
        try: async ({ gateway }) => {
            const all = many(60, () => new Raw(Number(new URL(gateway.operations).port)));
            await eventually(() => all.filter((raw) => raw.closed).length >= 28, { timeout: PATIENCE, what: 'those beyond the limit refused' });
            all.forEach((raw) => raw.reset());
            await eventually(() => scrape(gateway), { timeout: PATIENCE, what: 'the metrics again' });
        },
    },
    'log lines': {
        settings: { token: { refusals: 1000 } }, alone: true, metrics: [],
        try: async ({ gateway }) => {
            const raw = new Raw(portOf(gateway)).write(upgrade('/socket.io/'));
            await raw.until(() => raw.text().includes('maxPayload'), PATIENCE);
            for (let refused = 1; refused <= 150; refused++) {
                raw.write(frame(1, '40{"token":"none"}'));
                assert.ok(await raw.until(() => raw.text().split('44{').length > refused, PATIENCE), raw.text().slice(-300));
            }
            raw.reset();
        },
    },
};
Object.assign(trials, fixed);

/* Limits that nobody can fill from outside in seconds: why, and what tries them instead. By setting, or by the row's first cell if
 * the limit is fixed. */
const EXCEPTIONS = {
    'limits.open_timeout': 'takes a lane that does not open: lanes_that_do_not_open_are_trouble_of_ours in websocket_adapter_test.c',
    'quotas.remembered': 'takes thousands of addresses: address_quotas_test.c',
    'decoded forms of messages, for those who catch up': 'a cache, which nobody outside sees: catch_up_test.c',
    'the last messages of tasks': 'a table of fixed size: conflation_test.c',
    'what a stream is given before its rooms are joined': 'takes rooms that wait while others have notifications: sse_adapter_test.c',
    'what a wire keeps': 'filled by the trial of websocket.queue, whose client reads nothing; chaos slow',
    'bytes that a socket did not take': 'filled by the trial of websocket.queue, whose client reads nothing; chaos slow',
    "the last poll's answer": 'one at a time by its making: engineio_polling_test.c',
    'what a client says while its session moves': 'takes another gateway: engineio_migration_test.c',
    'socketio.upgrade_timeout': 'takes another gateway: engineio_migration_test.c',
    'peers.connections': 'takes another gateway that does not answer: engineio_peers_test.c',
    'peers.buffered': 'takes another gateway that does not answer: engineio_peers_test.c',
    'token.refusals_window': 'a time, within which token.refusals is filled',
    'a command about a review': 'takes a log of reviews: client_events_test.c, reviews.test.mjs',
    "a turn's writes": 'what is left goes in the next turn: engineio_server_test.c',
    'closed connections that still flush': 'a time, two seconds',
    'tokens that wait for keys': '10,000 clients and keys that do not come: identity_queue_test.c',
    'keys of a set, and of them for one token': 'comes from the keys, not from clients: token_keys_test.c',
    'a JWK set, a key file': 'comes from the keys, not from clients: token_keys_test.c',
    'kafka.consumer.queued.max.messages.kbytes': "librdkafka's own",
    'lanes in one question for ends': 'takes more than 1,024 lanes',
    'replaced consumers that are being ended': 'takes a broker that stands still: read_stall.test.mjs',
    'files of the page': 'comes from the disk at the start: static_files_test.c',
    'control.orders': 'takes a topic that is full of orders: control.test.mjs',
    'control.order_age': 'a time, after which an order is forgotten: orders_test.c',
    'rooms that a session has lost, of which it is yet to be told (but for those of the private id)': 'takes fresh tokens, and a client that reads nothing: refresh_test.c',
    'what a worker shows the others': "the number is the program's own",
    'state.bytes': 'takes a real broker, with state topics: a_view_that_does_not_fit_is_not_kept in views_test.c',
    'state topics that are read at a time': 'takes a real broker, with state topics: item_state.test.mjs reads several',
    'a step of a state': 'the others come in the next: history_search_state_test.c',
    'presence.entries': 'takes other gateways, with rooms full of users: presence_limits_test.c',
    'presence.tenant_entries': 'takes other gateways, with rooms full of users: presence_limits_test.c',
    'presence.users': 'takes other gateways, with rooms full of users: presence_limits_test.c',
    'what a session is to be told of it': 'one for each room by its making: session_presence_test.c',
};

/* Each trial alone if it cannot be otherwise; the others share a gateway. */
const COMMON = Object.values(trials).filter(({ alone }) => !alone).reduce((all, { settings }) => merge(all, settings), {
    access: { events: ['task.cancel'], join: ['task:*', 'review:*'] },
});

/* Notifications for an honest client, which must all come. */
async function honest(gateway, backend) {
    const taskId = `witness-${gateway.name}`;
    const witness = await client(gateway, { token: bearer('witness') }); // in no room of the other trials
    await witness.subscribe(`task:${taskId}`);
    let n = 0;
    return {
        async check() {
            const before = n;
            await backend.events(many(3, () => taskEvent({ taskId, n: ++n })));
            await eventually(() => witness.received.length >= n, { timeout: PATIENCE, what: () => `notification ${n} for the witness, ${witness.received.length} came` });
            const numbers = witness.received.map(({ notification }) => notification.taskStatus.data.n);
            assert.deepEqual(numbers, many(before + 3, (i) => i + 1));
            assert.deepEqual(witness.closes, []);
        },
        close: () => witness.disconnect(),
    };
}

describe('limits', { timeout: 900000 * SLOW }, () => {
    let world, backend, shared;

    const open = async (name, settings) => {
        const gateway = await world.gateway({ name, settings: { gateway: settings } });
        target.hello = JSON.stringify({ type: 'connect', token: bearer('limits') });
        return { gateway, backend, broker: world.broker, witness: await honest(gateway, backend) };
    };

    before(async () => {
        world = await World.open(null, 'limits', {
            broker: 'embedded', rules: `${RULES}${BOARD}`, topics: { ...TOPICS, 'fanout.review.second': 1, 'fanout.review.third': 1 }, settings: { allow: { review: ['legal', 'second', 'third'] } },
        });
        await world.dispatcher();
        backend = await world.backend();
    });
    after(() => {
        clients.forEach((one) => one.disconnect());
        return world.close();
    });

    it('have a trial each, or a reason', () => {
        for (const layer of LAYERS)
            assert.ok(rows.some((row) => row.layer === layer), `${layer}: no table was found`);
        const unknown = rows.flatMap(({ layer, what, settings }) => (settings.length ? settings : [what])
            .filter((name) => !trials[name] && !EXCEPTIONS[name]).map((name) => `${layer}: ${what}: nobody tries ${name}`));
        assert.deepEqual(unknown, []);
        const names = rows.flatMap(({ what, settings }) => [what, ...settings]);
        assert.deepEqual(Object.keys(EXCEPTIONS).filter((name) => !names.includes(name) || trials[name]), [], 'no exceptions');
    });

    for (const [setting, trial] of Object.entries(trials).filter(([name]) => !values.only || name === values.only)) {
        const own = rows.filter(({ what, settings }) => (settings.includes(setting) && !EXCEPTIONS[what]) || what === setting);
        const metrics = own.flatMap((row) => row.metrics);
        it(setting === own[0]?.what ? setting : `${setting}: ${own[0]?.what}`, async () => {
            const stage = trial.alone ? await open(`gateway-${setting}`, merge({ access: COMMON.access }, trial.settings)) : shared ??= await open('gateway', COMMON);
            const { gateway, witness } = stage;
            await witness.check();
            const start = await scrape(gateway);
            const { memoryKb } = status(gateway.pid);
            let highest = 0;
            const watching = setInterval(() => { highest = Math.max(highest, gateway.alive ? status(gateway.pid).memoryKb : 0); }, 50);
            try {
                await trial.try(stage);
            } finally {
                clearInterval(watching);
            }
            assert.ok(gateway.alive, `the gateway has ended\n${gateway.tail(40)}`);
            const end = await scrape(gateway);
            for (const metric of [...trial.metrics, ...metrics.filter((name) => name.includes('_total'))])
                assert.ok(read(end, metric) > read(start, metric), `${metric}: ${read(start, metric)} before, ${read(end, metric)} after`);
            for (const metric of metrics)
                assert.notEqual(read(end, metric), undefined, `there is no ${metric}`);
            await witness.check();
            if (SLOW === 1)
                assert.ok(highest - memoryKb < MEMORY_MOST_KB, `${memoryKb} kB before, ${highest} kB at most`);
            if (trial.alone) {
                witness.close();
                await gateway.stop();
            }
            await sleep(100); // connections that were reset are gone
        });
    }
});
