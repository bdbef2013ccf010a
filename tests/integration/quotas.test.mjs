/* What all sessions of a user, or of an address, may ask for together: one token, hundreds of connections. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { token } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { SECRET, World } from './lib/world.mjs';

const CONNECTIONS = 400;
const SESSIONS = 150;
const SENDERS = 120;
const EVENTS = 10; // a second, and ten times as many at once

/* A raw WebSocket; resolves to it, with its first message in `first`. */
async function connect(gateway, bearer) {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, 'smartstack.v1.json');
    socket.on('error', () => {});
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connect', token: bearer }));
    const [data] = await once(socket, 'message');
    socket.first = JSON.parse(data.toString());
    return socket;
}

/* The answer: what comes with it, in the same segment, is passed over. */
function ask(socket, message) {
    const answer = new Promise((resolve) => {
        socket.on('message', function listen(data) {
            const heard = JSON.parse(data.toString());
            if (heard.id !== 1)
                return;
            socket.off('message', listen);
            resolve(heard);
        });
    });
    socket.send(JSON.stringify({ id: 1, ...message }));
    return answer;
}

test('quotas: one token, many connections, many that send', { timeout: 180000 * SLOW }, async (t) => {
    const settings = { gateway: { access: { events: ['task.cancel'] }, quotas: { user: { sessions: SESSIONS, connects: 0, subscribes: 5, events: EVENTS }, burst: '10s' } } };
    const world = await World.open(t, 'quotas', { broker: 'embedded', settings });
    const gateway = await world.gateway();
    const noisy = token({ sub: 'noisy', tenant: 'acme' }, SECRET);
    const sockets = [];
    for (let begun = 0; begun < CONNECTIONS; begun += 100)
        sockets.push(...await Promise.all(Array.from({ length: 100 }, () => connect(gateway, noisy))));
    t.after(() => sockets.forEach((socket) => socket.terminate()));
    const kinds = (kind) => sockets.filter(({ first }) => first.type === kind);
    assert.equal(kinds('welcome').length, SESSIONS);
    assert.equal(kinds('error').length, CONNECTIONS - SESSIONS);
    assert.ok(kinds('error').every(({ first }) => first.error.code === 'rate_limited' && first.error.retryAfter >= 1));
    assert.equal(await world.metric(gateway, 'smartstack_gateway_quota_refusals_total{quota="user_sessions"}'), CONNECTIONS - SESSIONS);

    const senders = kinds('welcome').slice(0, SENDERS);
    const before = performance.now();
    const sent = await Promise.all(senders.map((socket) => ask(socket, { type: 'event', event: 'task.cancel', data: 1 })));
    const most = EVENTS * 10 + Math.ceil(EVENTS * (performance.now() - before) / 1000) + 1;
    const taken = sent.filter(({ type }) => type === 'ack').length;
    assert.ok(taken >= EVENTS * 10 && taken <= most, `${taken} events were taken, at most ${most} may be`);
    assert.ok(sent.every(({ type, error }) => type === 'ack' || (error.code === 'rate_limited' && error.retryAfter >= 1)));

    const joined = await Promise.all(senders.map((socket) => ask(socket, { type: 'subscribe', rooms: ['task:1'] })));
    const refused = joined.filter(({ type }) => type === 'error');
    assert.ok(refused.length > 0 && refused.every(({ error }) => error.code === 'rate_limited' && error.retryAfter >= 1), JSON.stringify(refused[0]));

    /* Nobody else notices. */
    const other = await connect(gateway, token({ sub: 'quiet', tenant: 'acme' }, SECRET));
    sockets.push(other);
    assert.equal(other.first.type, 'welcome');
    assert.equal((await ask(other, { type: 'subscribe', rooms: ['task:1'] })).type, 'ack');
    assert.equal((await ask(other, { type: 'event', event: 'task.cancel', data: 1 })).type, 'ack');

    /* A place that is free again is given. */
    const [leaving] = senders.slice(-1);
    leaving.close(1000);
    await once(leaving, 'close');
    await eventually(async () => {
        const next = await connect(gateway, noisy);
        sockets.push(next);
        return next.first.type === 'welcome';
    }, { what: 'the place that is free', interval: 200 });
});

/* The handshake's answer: its status, and what it says. */
async function handshake(gateway, fields) {
    const answer = await fetch(`${gateway.url}/socket.io/?EIO=4&transport=polling`, { headers: fields });
    return { status: answer.status, retryAfter: answer.headers.get('retry-after'), text: await answer.text() };
}

test('quotas: an address, with and without a proxy that is trusted', { timeout: 120000 * SLOW }, async (t) => {
    const quotas = { address: { sessions: 2 } };
    const trusting = { gateway: { quotas, http: { trusted_proxies: ['127.0.0.0/8', '::1'] } } };
    const world = await World.open(t, 'quotas', { broker: 'embedded', settings: trusting });
    const gateway = await world.gateway();
    const from = (address) => handshake(gateway, { 'X-Forwarded-For': address });
    for (const client of ['198.51.100.1', '198.51.100.2']) {
        assert.equal((await from(client)).status, 200);
        assert.equal((await from(`127.0.0.9, 8.8.8.8, ${client}, 127.0.0.2`)).status, 200);
        const refused = await from(`203.0.113.5, ${client}`); // what stands left is the client's own word
        assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [429, 'rate_limited']);
        assert.ok(Number(refused.retryAfter) >= 1, refused.retryAfter);
    }
    /* No token is looked at: a client that has none is refused for its address. */
    const stream = await fetch(`${gateway.url}/sse`, { headers: { 'X-Forwarded-For': '198.51.100.1' } });
    assert.equal(stream.status, 429);
    await stream.text();
    assert.equal(await world.metric(gateway, 'smartstack_gateway_quota_refusals_total{quota="address_sessions"}'), 3);
    assert.equal(await world.metric(gateway, 'smartstack_gateway_refusals_total{reason="rate_limited"}'), 3);

    /* Who is not trusted is counted himself, whatever he says. */
    const other = await world.gateway({ name: 'other', settings: { gateway: { quotas, http: { trusted_proxies: ['192.0.2.0/24'] } } } });
    const answers = [];
    for (const client of ['198.51.100.1', '198.51.100.2', '198.51.100.3'])
        answers.push((await handshake(other, { 'X-Forwarded-For': client })).status);
    assert.deepEqual(answers, [200, 200, 429]);
});
