/* History on subscribe, by stock clients on a real broker: a room's past, read back by a gateway that has seen none of it, comes
 * before the answer, and what is published meanwhile follows without a hole and without a double. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { token } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { EventClient, WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, taskEvent, World } from './lib/world.mjs';

const BEFORE = 40;
const LAST = 25;
const AFTER = 60;
const claims = () => token({ sub: 'usr_test', tenant: 'acme' }, SECRET);
const number = (notification) => notification.taskStatus.data.n;

test('history: the past, the answer, and then what is live', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'history');
    await world.dispatcher();
    const first = await world.gateway({ name: 'gateway-0' });
    const backend = await world.backend();
    const witness = await new WebSocketClient(first.url, { token: claims() }).connect();
    await witness.subscribe('task:1');
    for (let n = 1; n <= BEFORE; n++)
        await backend.events([taskEvent({ taskId: '1', n })]);
    await eventually(() => witness.received.length === BEFORE, { what: 'all to be published' });

    const gateway = await world.gateway({ name: 'gateway-1' }); // whose ring is empty
    let producing = true;
    let last = BEFORE;
    const produced = (async () => {
        for (; producing && last < BEFORE + AFTER; await sleep(10))
            await backend.events([taskEvent({ taskId: '1', n: ++last })]);
    })();

    const logs = { socketio: [], websocket: [], sse: [] };
    const socket = io(gateway.url, { auth: { token: claims() }, transports: ['websocket'], reconnection: false });
    socket.on('history', ({ room, event, data }) => logs.socketio.push({ past: true, room, event, n: number(data) }));
    socket.on('subscribed', () => logs.socketio.push({ confirmed: true }));
    socket.on('task.status', (notification) => logs.socketio.push({ n: number(notification) }));
    const answer = await socket.timeout(20000 * SLOW).emitWithAck('subscribe', 'task:1', { last: LAST });
    assert.deepEqual(answer, { ok: true, history: { count: LAST, complete: true } });
    assert.equal((await socket.emitWithAck('subscribe', 'task:1', { last: -1 })).error.code, 'bad_history');

    const websocket = new WebSocketClient(gateway.url, { token: claims() });
    const take = websocket.take.bind(websocket);
    websocket.take = (message) => {
        if (message.type === 'history')
            logs.websocket.push({ past: true, room: message.room, event: message.event, n: number(message.data) });
        else if (message.type === 'notification')
            logs.websocket.push({ n: number(message.data) });
        else if (message.type === 'ack')
            logs.websocket.push({ confirmed: true });
        take(message);
    };
    await websocket.connect();
    const ack = await websocket.ask({ type: 'subscribe', rooms: ['task:1'], last: LAST });
    assert.deepEqual(ack.history, { count: LAST, complete: true });

    const sse = new EventClient(gateway.url, { rooms: ['task:1'], token: claims(), query: `&last=${LAST}` });
    sse.source.addEventListener('history', ({ data }) => {
        const { room, event, data: notification } = JSON.parse(data);
        logs.sse.push({ past: true, room, event, n: number(notification) });
    });
    sse.source.addEventListener('session', () => logs.sse.push({ confirmed: true }));
    sse.source.addEventListener('task.status', ({ data }) => logs.sse.push({ n: number(JSON.parse(data)) }));
    t.after(() => { socket.close(); websocket.disconnect(); witness.disconnect(); sse.source.close(); });

    await produced;
    producing = false;
    for (const [name, log] of Object.entries(logs)) {
        await eventually(() => log.at(-1)?.n === last, { timeout: 30000 * SLOW, what: () => `${last} for ${name}, ${JSON.stringify(log.at(-1))} was the last` });
        await sleep(200); // for what should not come
        const confirmed = log.findIndex((entry) => entry.confirmed);
        assert.equal(confirmed, LAST, `${name}: all of the past before the confirmation`);
        assert.ok(log.slice(0, LAST).every(({ past, room, event }) => past && room === 'task:1' && event === 'task.status'), name);
        const numbers = log.filter(({ n }) => n).map(({ n }) => n);
        assert.deepEqual(numbers, numbers.map((_, index) => numbers[0] + index), `${name}: no hole, no double`);
    }
    assert.equal(await world.metric(gateway, 'smartstack_gateway_history_messages_total'), 3 * LAST);
});
