/* Events of the application's own. deploy/docs/emits.md has 21 lines of server.to(room).emit(name, payload) and the rules that take their place: the
 * lines run on the JavaScript server, the rules on ours, and stock clients must hear the same from both, in the same order. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';
import { token } from './lib/client.mjs';
import { SLOW, SOURCE_DIR } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { EventClient, Switch, WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, World } from './lib/world.mjs';

const page = fs.readFileSync(path.join(SOURCE_DIR, 'deploy/docs/emits.md'), 'utf8');
const [event, lines, rules] = ['json', 'js', 'yaml'].map((language) => page.match(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm'))[1]);
const EVENT = JSON.parse(event);
const PEOPLE = {
    ann: ['user:ann', 'tenant:acme', 'task:42'],
    bob: ['user:bob', 'tenant:acme', 'project:shop'],
    eve: ['user:eve', 'tenant:acme', 'task:42', 'project:shop'],
};
const auth = (sub) => token({ sub, tenant: 'acme' }, SECRET);

/* What pages hear from the JavaScript server: by person, [name, payload] each. */
async function hearReference(t) {
    const port = await freePort();
    const host = http.createServer();
    const server = new Server(host);
    await new Promise((resolve) => { host.listen(port, '127.0.0.1', resolve); });
    t.after(() => server.close());
    server.on('connection', (socket) => socket.join(PEOPLE[socket.handshake.auth.person]));
    const heard = {};
    const sockets = Object.keys(PEOPLE).map((person) => {
        const socket = io(`http://127.0.0.1:${port}`, { auth: { person }, forceNew: true });
        heard[person] = [];
        socket.onAny((name, payload = null) => heard[person].push([name, payload]));
        return socket;
    });
    t.after(() => sockets.forEach((socket) => socket.disconnect()));
    await eventually(() => server.sockets.sockets.size === 3, { what: 'three pages at the JavaScript server' });
    new Function('server', 'e', lines)(server, EVENT);
    server.emit('end');
    await eventually(() => Object.values(heard).every((all) => all.at(-1)?.[0] === 'end'), { what: 'the end of what it says' });
    Object.values(heard).forEach((all) => all.pop());
    return heard;
}

test('custom events: pages hear what they heard from the JavaScript server', { timeout: 200000 * SLOW }, async (t) => {
    assert.equal(lines.match(/^\/\* \d+: /gm).length, 21);
    assert.equal(rules.match(/^ {2}- name: /gm).length, 21);
    const expected = await hearReference(t);
    assert.ok(expected.eve.length >= 18, JSON.stringify(expected.eve));

    const world = await World.open(t, 'custom_events', { rules, settings: { gateway: { sse: { retry: '200ms' } } } });
    const entrance = await Switch.open(await freePort());
    t.after(() => entrance.close());
    await world.dispatcher();
    const gateway = await world.gateway();
    entrance.to(gateway);
    const heard = {};
    const clients = {};
    for (const [person, rooms] of Object.entries(PEOPLE)) {
        const client = await world.client(entrance.url, { claims: { sub: person }, rooms: rooms.slice(2) });
        heard[person] = [];
        client.socket.onAny((name, payload, cursor) => {
            assert.equal(typeof cursor, 'string');
            if (name !== 'cursor')
                heard[person].push([name, payload]);
        });
        clients[person] = client;
    }
    const names = [...new Set(expected.eve.map(([name]) => name))];
    const streams = {
        json: await new WebSocketClient(entrance.url, { protocol: 'smartstack.v1.json', token: auth('eve') }).connect(),
        protobuf: await new WebSocketClient(entrance.url, { protocol: 'smartstack.v1.protobuf', token: auth('eve') }).connect(),
    };
    await streams.json.subscribe(...PEOPLE.eve.slice(2));
    await streams.protobuf.subscribe(...PEOPLE.eve.slice(2));
    streams.sse = await new EventClient(entrance.url, { rooms: PEOPLE.eve, token: auth('eve'), names }).connect();
    t.after(() => Object.values(streams).forEach((client) => client.disconnect()));

    const backend = await world.backend();
    const records = (id) => [{ key: EVENT.taskId, value: event.replace('"e-1"', `"${id}"`) }];
    await backend.records(records('e-1'));
    const whole = () => Object.keys(PEOPLE).every((person) => heard[person].length >= expected[person].length)
        && Object.values(streams).every((client) => client.received.length >= expected.eve.length);
    await eventually(whole, { timeout: 30000 * SLOW, what: () => `all events, ${JSON.stringify([heard, Object.values(streams).map(({ received }) => received.length)])}` });
    await sleep(300); // for what should not come
    for (const person of Object.keys(PEOPLE))
        assert.deepEqual(heard[person], expected[person], person);
    for (const [name, client] of Object.entries(streams))
        assert.deepEqual(client.received.map((entry) => [entry.event, entry.notification]), expected.eve, name);
    assert.equal(await world.metric(gateway, 'smartstack_gateway_records_faulty_total'), 0);

    /* A gateway is killed: what was missed comes, once and in order, under the same names. */
    const next = await world.gateway({ name: 'gateway-next' });
    entrance.to(next);
    await gateway.kill();
    await backend.records(records('e-2'));
    const twice = () => Object.keys(PEOPLE).every((person) => heard[person].length >= 2 * expected[person].length)
        && Object.values(streams).every((client) => client.received.length >= 2 * expected.eve.length);
    await eventually(twice, { timeout: 60000 * SLOW, what: 'all of it once more' });
    await sleep(300);
    for (const person of Object.keys(PEOPLE)) {
        assert.equal(clients[person].socket.recovered, true, person);
        assert.deepEqual(heard[person], [...expected[person], ...expected[person]], person);
    }
    for (const [name, client] of Object.entries(streams))
        assert.deepEqual(client.received.map((entry) => [entry.event, entry.notification]), [...expected.eve, ...expected.eve], name);

    /* What was before, and what is there now. */
    const late = await world.client(next, { claims: { sub: 'eve' } });
    const past = [];
    late.socket.on('history', ({ event: name, data }) => past.push([name, data]));
    const answer = await late.ask('subscribe', 'project:shop', { last: 100 });
    assert.deepEqual(answer.history, { count: past.length, complete: true });
    const ofProject = expected.bob.filter(([name]) => ['feed', 'order.big', 'order.price'].includes(name));
    assert.deepEqual(past, [...ofProject, ...ofProject]);
});

test('custom events: an item is shown under the name of its event until it is removed', { timeout: 100000 * SLOW }, async (t) => {
    const world = await World.open(t, 'custom_events-state', { rules: `rules:
  - name: shown
    when: {event: [order.updated]}
    notify: {type: custom, event: order.shown, rooms: ["project:{projectId}"], state: "{taskId}", data: {id: "{taskId}", n: "{data.n}"}}
  - name: gone
    when: {event: [order.closed]}
    notify: {type: custom, event: order.gone, rooms: ["project:{projectId}"], state: {item: "{taskId}", remove: true}, data: "{taskId}"}
` });
    await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const order = (name, taskId, n) => ({ key: taskId, value: JSON.stringify({ id: `${taskId}-${n}`, event: name, tenantId: 'acme', projectId: 'shop', taskId, data: { n } }) });
    const live = await world.client(gateway, { rooms: ['project:shop'] });
    const heard = [];
    live.socket.onAny((name, payload) => name.startsWith('order.') && heard.push([name, payload]));
    await backend.records([order('order.updated', 'a', 1), order('order.updated', 'a', 2), order('order.updated', 'a', 3)]);
    await backend.records([order('order.updated', 'b', 1), order('order.closed', 'b', 2)]);
    await eventually(() => heard.length === 5, { timeout: 30000 * SLOW, what: () => `five events, ${JSON.stringify(heard)}` });
    assert.deepEqual(heard.filter(([, payload]) => payload.id === 'a').map(([, { n }]) => n), [1, 2, 3]);
    assert.deepEqual(heard.filter(([, payload]) => payload.id !== 'a'), [['order.shown', { id: 'b', n: 1 }], ['order.gone', 'b']]);

    const board = await world.client(gateway);
    const shown = [];
    board.socket.on('state', ({ items }) => shown.push(...items));
    const answer = await board.ask('subscribe', 'project:shop', { state: true });
    assert.equal(answer.state.count, 1, JSON.stringify(answer));
    assert.deepEqual(shown, [{ event: 'order.shown', data: { id: 'a', n: 3 } }]);
});
