/* Raw WebSocket, in both subprotocols, and server-sent events, by stock clients on a real broker: in order, once each,
 * also when the gateway is killed and the client goes on at another; refusals; tokens that expire. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { assertConsecutive, token } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { EventClient, Switch, WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, taskEvent, World } from './lib/world.mjs';

const PROTOCOLS = ['smartstack.v1.json', 'smartstack.v1.protobuf'];
const PER_ROOM = 300;
const KILLS = 3;

const claims = (more = {}) => token({ sub: 'usr_test', tenant: 'acme', ...more }, SECRET);
const later = (seconds) => Math.floor(Date.now() / 1000) + seconds;

async function assertNumbers(client, last, what) {
    await eventually(() => client.received.length >= last, { timeout: 60000 * SLOW, what: () => `${last} notifications for ${what}, ${client.received.length} came` });
    await sleep(300); // for what should not come
    assertConsecutive(client.received, { last, number: ({ notification }) => notification.taskStatus.data.n, what });
}

/* Status and body of a plain request. */
function get(url, headers = {}, method = 'GET') {
    return new Promise((resolve, reject) => {
        const request = http.request(url, { headers, method }, (response) => {
            let body = '';
            response.on('data', (chunk) => { body += chunk; });
            response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
        });
        request.on('error', reject);
        request.end();
    });
}

test('streams: notifications come once and in order, whichever gateway dies', { timeout: 400000 * SLOW }, async (t) => {
    const world = await World.open(t, 'streams', { settings: { gateway: { sse: { retry: '200ms' } } } });
    const entrance = await Switch.open(await freePort());
    t.after(() => entrance.close());
    await world.dispatcher();
    let gateway = await world.gateway({ name: 'gateway-0' });
    entrance.to(gateway);

    const clients = {};
    for (const protocol of PROTOCOLS) {
        const client = await new WebSocketClient(entrance.url, { protocol, token: claims() }).connect();
        await client.subscribe(`task:${protocol}`);
        clients[protocol] = client;
    }
    clients.sse = await new EventClient(entrance.url, { rooms: ['task:sse'], token: claims() }).connect();
    t.after(() => Object.values(clients).forEach((client) => client.disconnect()));

    const backend = await world.backend();
    let produced = 0;
    const producing = (async () => {
        for (let n = 1; n <= PER_ROOM; n++) {
            await backend.events(Object.keys(clients).map((taskId) => taskEvent({ taskId, n })));
            produced = n;
            await sleep(20);
        }
    })();
    for (let kill = 1; kill <= KILLS; kill++) {
        const next = await world.gateway({ name: `gateway-${kill}` });
        await eventually(() => produced >= (kill * PER_ROOM) / (KILLS + 1) && Object.values(clients).every(
            (client) => (client.welcomes ?? client.sessions).length === kill), { timeout: 60000 * SLOW, what: `all at gateway ${kill - 1}` });
        entrance.to(next);
        await gateway.kill();
        gateway = next;
    }
    await producing;
    for (const [name, client] of Object.entries(clients))
        await assertNumbers(client, PER_ROOM, name);
    for (const protocol of PROTOCOLS)
        assert.deepEqual(clients[protocol].welcomes.map(({ recovered = false }) => recovered), [false, true, true, true]);
    assert.deepEqual(clients.sse.sessions.map(({ recovered }) => recovered), [false, true, true, true]);
    assert.equal(new Set(clients.sse.sessions.map(({ sid }) => sid)).size, 1, 'one session');

    /* SIGTERM sends them on, at once. */
    const last = await world.gateway({ name: 'gateway-last' });
    entrance.to(last);
    const began = Date.now();
    await gateway.stop();
    await eventually(() => clients['smartstack.v1.json'].welcomes.length === 5 && clients.sse.sessions.length === 5, { what: 'all to return' });
    assert.ok(Date.now() - began < 20000 * SLOW, 'long before anything would have given up');
    assert.equal(clients['smartstack.v1.json'].closes.at(-1).code, 1012);
    assert.ok(await world.metric(last, 'smartstack_gateway_stream_connections') === 3);
});

test('streams: what is asked is answered, and what must not be is refused', { timeout: 200000 * SLOW }, async (t) => {
    const world = await World.open(t, 'streams-answers', { settings: { gateway: {
        access: { join: ['task:*', 'review:legal'], events: ['task.cancel'] },
        cors: { origins: ['https://app.example'], credentials: true },
        sse: { cookie: 'smartstack_token', heartbeat: '300ms', retry: '200ms' },
        websocket: { query_token: true, ping_interval: '300ms', ping_timeout: '20s' },
    } } });
    const gateway = await world.gateway();
    const url = gateway.url;
    const strict = await world.gateway({ name: 'gateway-strict', settings: { gateway: { websocket: { ping_timeout: '300ms', hello_timeout: `${SLOW}s` } } } });

    for (const protocol of PROTOCOLS) {
        const client = await new WebSocketClient(url, { protocol, headers: { Authorization: `Bearer ${claims()}` }, connect: { heartbeat: true } }).connect();
        const [welcome] = client.welcomes;
        assert.ok(welcome.session.length > 50 && welcome.sid.length === 20 && welcome.cursor, JSON.stringify(welcome));
        assert.equal((await client.ask({ type: 'ping' })).type, 'pong');
        const partly = await client.ask({ type: 'subscribe', rooms: ['task:1', 'secret:1', 'no room'] });
        assert.equal(partly.error.code, 'not_allowed');
        assert.deepEqual(partly.error.rooms, [{ room: 'secret:1', code: 'not_allowed' }, { room: 'no room', code: 'bad_room' }]);
        assert.equal(client.kinds().at(-2), 'cursor', 'task:1 was joined, and the cursor knows');
        const cancel = { type: 'event', event: 'task.cancel', eventId: `e-${protocol}`, room: 'task:1' };
        const data = protocol.endsWith('json') ? { why: 1.50 } : Buffer.from('{"why":1.50}');
        assert.equal((await client.ask({ ...cancel, data })).type, 'ack', 'the broker has it');
        assert.equal((await client.ask({ ...cancel, room: 'task:2' })).error.code, 'not_allowed');
        assert.equal((await client.ask({ type: 'unsubscribe', rooms: ['task:1'] })).type, 'ack');
        assert.equal((await client.ask({ type: 'unsubscribe', rooms: ['task:1'] })).error.code, 'not_joined');
        assert.equal((await client.ask({ type: 'event', event: 'dance' })).error.code, 'unknown_event');
        assert.equal((await client.ask({ type: 'token', token: claims() })).type, 'ack');
        assert.equal((await client.ask({ type: 'token', token: claims({ sub: 'other' }) })).error.code, 'other_principal');
        assert.equal((await client.ask({ type: 'connect' })).error.code, 'already_connected');
        await eventually(() => client.kinds().includes('ping'), { what: 'a heartbeat' });
        client.disconnect();

        const mute = new WebSocketClient(strict.url, { protocol, token: claims(), connect: { heartbeat: true } }).start();
        await eventually(() => mute.closes.some(({ reason }) => reason === 'ping_timeout'), { what: 'an end for want of a pong' });
        assert.equal(mute.closes.find(({ reason }) => reason === 'ping_timeout').code, 1013);
        mute.disconnect();

        const byFrames = await new WebSocketClient(url, { protocol, query: `?token=${claims()}` }).connect();
        await sleep(1500);
        assert.equal(byFrames.closes.length, 0, '`ws` answers WebSocket pings by itself');
        byFrames.disconnect();

        const nobody = new WebSocketClient(url, { protocol, token: claims({ exp: later(-100) }) }).start();
        await eventually(() => nobody.closes.length, { what: 'a refusal' });
        assert.deepEqual(nobody.closes[0], { code: 4401, reason: 'token_expired' });
        assert.equal(nobody.messages[0].error.code, 'token_expired');

        const silent = new WebSocket(`${strict.url.replace('http', 'ws')}/ws`, protocol);
        const [code, reason] = await new Promise((resolve) => silent.on('close', (...all) => resolve(all)));
        assert.deepEqual([code, reason.toString()], [1008, 'hello_timeout']);
    }
    const plain = await get(`${url}/ws`);
    assert.equal(plain.status, 400);
    await assert.rejects(new Promise((_, reject) => new WebSocket(`${url.replace('http', 'ws')}/ws`).on('error', reject)), /400/);

    const sent = await world.broker.read('clients.events', { headers: true });
    assert.deepEqual(sent.map(({ headers }) => [headers.ce_type, headers.ce_id, headers.ce_userid, headers.ce_room]).sort(),
        PROTOCOLS.map((protocol) => ['task.cancel', `e-${protocol}`, 'usr_test', 'task:1']).sort());
    sent.forEach(({ value }) => assert.deepEqual(JSON.parse(value), { why: 1.5 }));

    /* Before the stream: JSON. */
    const stream = { accept: 'text/event-stream' };
    const bearer = { ...stream, authorization: `Bearer ${claims()}` };
    const code = async (...args) => {
        const { status, body } = await get(...args);
        return [status, JSON.parse(body).error.code];
    };
    assert.deepEqual(await code(`${url}/sse`, stream), [401, 'token_missing']);
    assert.deepEqual(await code(`${url}/sse?room=secret:1`, bearer), [403, 'not_allowed']);
    assert.deepEqual(await code(`${url}/sse?room=nonsense`, bearer), [400, 'bad_room']);
    assert.deepEqual(await code(`${url}/sse`, { ...bearer, accept: 'application/json' }), [406, 'not_acceptable']);
    assert.deepEqual(await code(`${url}/sse`, bearer, 'POST'), [405, 'method']);
    const refused = await get(`${url}/sse`, { ...stream, origin: 'https://app.example' });
    assert.equal(refused.headers['access-control-allow-origin'], 'https://app.example', 'a page may read why');
    assert.equal(refused.headers['www-authenticate'], 'Bearer');

    const events = await new EventClient(url, { rooms: ['task:1'], headers: { Cookie: `smartstack_token=${claims()}` } }).connect();
    assert.match(events.events[0].cursor, /^[\w-]{50,}\.[\w-]/);
    await sleep(1000);
    assert.equal(events.errors.length, 0);
    events.disconnect();
    const denied = new EventClient(url, { rooms: ['secret:1'], token: claims() });
    await eventually(() => denied.source.readyState === 2, { what: 'an EventSource to give up' });
    assert.equal(denied.errors[0].code, 403);
});

test('streams: a token that expires is told, and taken anew', { timeout: 100000 * SLOW }, async (t) => {
    const world = await World.open(t, 'streams-expiry', { settings: { gateway: {
        token: { expiry_grace: `${2000 * SLOW}ms`, leeway: '0s' }, sse: { retry: '200ms' },
    } } });
    const { url } = await world.gateway();
    const soon = claims({ exp: later(2 * SLOW) }); // long enough to connect with it
    const lazy = new WebSocketClient(url, { token: soon });
    const keen = new WebSocketClient(url, { protocol: 'smartstack.v1.protobuf', token: soon });
    const stream = new EventClient(url, { token: soon });
    await Promise.all([lazy, keen, stream].map((one) => one.connect()));
    await eventually(() => keen.kinds().includes('token_expired'), { what: 'the news' });
    assert.equal(keen.messages.at(-1).graceMs, 2000 * SLOW);
    assert.equal((await keen.ask({ type: 'token', token: claims() })).type, 'ack');
    await eventually(() => lazy.closes.length && stream.source.readyState === 2, { what: 'the end of who has none' });
    assert.deepEqual(lazy.closes[0], { code: 4401, reason: 'token_expired' });
    assert.equal(stream.events.at(-1).event, 'token_expired');
    assert.equal(stream.errors.at(-1).code, 401, 'it came back with the old one');
    await sleep(500); // its grace began no later
    assert.equal(keen.closes.length, 0);
    keen.disconnect();
});

test('streams: while the broker is away the client knows, and comes back by itself if it cannot be let in', { timeout: 200000 * SLOW }, async (t) => {
    const world = await World.open(t, 'streams-away', { broker: 'own', topics: { 'tasks.events': 4, 'tasks.dead-letter': 1 }, settings: { gateway: {
        limits: { open_timeout: '500ms' }, sse: { retry: '200ms' },
    } } });
    const { url } = await world.gateway(); // its lanes do not exist yet
    const socket = new WebSocketClient(url, { token: claims() }).start();
    const stream = new EventClient(url, { token: claims() });
    await eventually(() => socket.closes.length >= 2 && stream.events.length >= 2, { timeout: 20000 * SLOW, what: 'attempts' });
    assert.deepEqual(socket.closes[0], { code: 1013, reason: 'unavailable' });
    assert.deepEqual(stream.events[0], { event: 'unavailable', data: { error: { code: 'unavailable', message: 'not possible now: try again' } }, cursor: '' });
    const busy = await get(`${url}/sse`, { authorization: `Bearer ${claims()}` });
    assert.deepEqual([busy.status, busy.headers['retry-after']], [503, '1']);
    await world.broker.createTopics({ 'fanout.tenant': 8, 'fanout.review.legal': 1 });
    await eventually(() => socket.welcomes.length && stream.sessions.length, { timeout: 60000 * SLOW, what: 'both in' });
    await world.broker.kill();
    await eventually(() => socket.kinds().includes('stale') && stream.events.some(({ event }) => event === 'stale'), { timeout: 60000 * SLOW, what: 'the news' });
    assert.ok(socket.messages.find(({ type }) => type === 'stale').since > Date.now() - 120000);
    await world.broker.start();
    await eventually(() => socket.kinds().includes('live') && stream.events.some(({ event }) => event === 'live'), { timeout: 90000 * SLOW, what: 'the end of it' });
    socket.disconnect();
    stream.disconnect();
});
