/* Orders of the backend: sessions ended, tokens voided, rooms left and joined, in every transport, by each name, at every
 * gateway, also at one that starts later, after a crash and from a compacted topic. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { token } from './lib/client.mjs';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { EventClient, WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, TOPICS, World } from './lib/world.mjs';

const TOPIC = 'gateway.control';
const RULES = `rules:
  - name: all
    when: {"event": [{"prefix": "task."}]}
    notify: {type: task.status, rooms: ["task:{taskId}", "project:{projectId}"]}
`;
const settings = { gateway: { access: { connect: ['user:{sub}'], join: ['task:*'] }, control: { topic: TOPIC } } };
const bearer = (claims) => token({ sub: 'u', ...claims }, SECRET);
const numberOf = ({ notification }) => notification.taskStatus.data.n;

/* --- what the backend writes */

class Orders {
    static async open(world) {
        const orders = new Orders();
        orders.world = world;
        orders.producer = world.broker.kafka('orders').producer({ allowAutoTopicCreation: false });
        await orders.producer.connect();
        world.backends.push(orders);
        return orders;
    }

    disconnect() { return this.producer.disconnect(); }

    send(messages) { return this.producer.send({ topic: TOPIC, acks: -1, messages }); }

    write(...orders) { return this.send(orders.map((order) => ({ key: keyOf(order), value: JSON.stringify(order) }))); }
}

function keyOf({ order, tenant, user, session, token: id, room }) {
    const [by, name] = user !== undefined ? ['user', user] : session !== undefined ? ['session', session] : id !== undefined ? ['token', id] : ['tenant', ''];
    return JSON.stringify([tenant, by, name, ...(room ? ['room', room] : [order])]);
}

/* --- a client of each transport, alike: `told` collects "unsubscribed task:t" and so on; `end` is why it was ended, or
 * refused, and does not come back; `id` its session's. */

const transports = {
    polling: (world, gateway, claims) => socketio(world, gateway, claims, ['polling']),
    websocket: (world, gateway, claims) => socketio(world, gateway, claims, ['websocket']),
    raw: (world, gateway, claims) => raw(world, gateway, claims, 'smartstack.v1.json'),
    protobuf: (world, gateway, claims) => raw(world, gateway, claims, 'smartstack.v1.protobuf'),
    sse: (world, gateway, claims) => sse(world, gateway, claims),
};

async function socketio(world, gateway, claims, names) {
    const client = await world.client(gateway, { options: { transports: names }, connect: false });
    const { socket } = client;
    const own = { told: [], received: client.received, end: null, connects: 0, get id() { return socket.id; } };
    socket.auth = { token: bearer(claims) };
    for (const name of ['subscribed', 'unsubscribed'])
        socket.on(name, ({ room, reason }) => own.told.push(`${name} ${room}${reason ? ` ${reason}` : ''}`));
    socket.on('error', ({ code }) => { own.told.push(`error ${code}`); own.code = code; });
    socket.on('disconnect', () => { if (!socket.active) own.end = own.code; });
    socket.on('connect_error', ({ data }) => { if (!socket.active) own.end = data?.code; });
    socket.on('connect', () => own.connects++);
    own.join = async (room) => (await client.ask('subscribe', room)).error?.code ?? 'ok';
    own.close = () => socket.disconnect();
    socket.connect();
    await eventually(() => socket.connected || own.end, { what: 'a session or a refusal' });
    return own;
}

async function raw(world, gateway, claims, protocol) {
    const client = new WebSocketClient(gateway.url, { protocol, token: bearer(claims) });
    world.clients.push(client);
    client.start();
    await eventually(() => client.welcomes.length || client.closes.some(({ code }) => code === 4403), { what: 'a session or a refusal' });
    return {
        received: client.received,
        get told() { return client.messages.filter(({ type: kind }) => /subscribed$/.test(kind)).map(({ type: kind, room, reason }) => `${kind} ${room}${reason ? ` ${reason}` : ''}`); },
        get end() { return client.closes.find(({ code }) => code === 4403)?.reason ?? null; },
        get connects() { return client.welcomes.length; },
        get id() { return client.welcomes.at(-1).sid; },
        join: async (room) => (await client.ask({ type: 'subscribe', rooms: [room] })).error?.code ?? 'ok',
        close: () => client.disconnect(),
    };
}

async function sse(world, gateway, claims) {
    const client = new EventClient(gateway.url, { token: bearer(claims), rooms: ['task:t'] });
    world.clients.push(client);
    const told = [];
    client.source.addEventListener('subscribed', ({ data }) => told.push(`subscribed ${JSON.parse(data).room}`));
    client.source.addEventListener('unsubscribed', ({ data }) => told.push(`unsubscribed ${JSON.parse(data).room} ${JSON.parse(data).reason}`));
    await eventually(() => client.sessions.length || client.source.readyState === 2, { what: () => `a session or a refusal: ${JSON.stringify(client.errors)}` });
    return {
        told,
        received: client.received,
        get end() { return client.source.readyState === 2 ? client.events.findLast(({ event }) => event === 'unavailable')?.data.error.code ?? 'refused' : null; },
        get connects() { return client.sessions.length; },
        get id() { return client.sessions.at(-1).sid; },
        join: async () => 'ok', // its room is in its address
        close: () => client.disconnect(),
    };
}

let n = 0;
const publish = (backend, ...tenants) => backend.events(tenants.map((tenantId) => (
    { id: `e-${++n}`, event: 'task.progress', time: new Date().toISOString(), tenantId, userId: 'u', taskId: 't', projectId: 'p', type: 'x', data: { n } })));

test('control: each order, by each name, in each transport', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'control-orders', { topics: { ...TOPICS, [TOPIC]: 1 }, rules: RULES, settings });
    await world.dispatcher();
    const [first, second] = [await world.gateway({ name: 'first' }), await world.gateway({ name: 'second' })];
    const backend = await world.backend();
    const orders = await Orders.open(world);
    for (const [name, open] of Object.entries(transports)) {
        for (const by of ['tenant', 'user', 'session', 'token']) {
            await t.test(`${name}, by ${by}`, async () => {
                const tenant = `${name}-${by}`, other = `${tenant}-other`;
                const now = Math.floor(Date.now() / 1000);
                const client = await open(world, first, { tenant, jti: 'j', iat: now - 60 });
                const bystander = await open(world, first, { tenant: other, jti: 'j', iat: now - 60 });
                assert.equal(await client.join('task:t'), 'ok');
                assert.equal(await bystander.join('task:t'), 'ok');
                const whom = { tenant, ...(by === 'user' ? { user: 'u' } : by === 'session' ? { session: client.id } : by === 'token' ? { token: 'j' } : {}) };
                const both = async () => {
                    await publish(backend, tenant, other);
                    await eventually(() => bystander.received.some((entry) => numberOf(entry) === n), { what: 'the event of the bystander' });
                    return n - 1;
                };
                const mine = await both();
                await eventually(() => client.received.some((entry) => numberOf(entry) === mine), { what: 'the event' });

                await orders.write({ order: 'leave', ...whom, room: 'task:t' });
                await eventually(() => client.told.includes('unsubscribed task:t not_allowed'), { what: () => `the room's end, told ${client.told}` });
                if (name !== 'sse')
                    assert.equal(await client.join('task:t'), 'not_allowed');
                await orders.write({ order: 'join', ...whom, room: 'project:p' });
                await eventually(() => client.told.includes('subscribed project:p'), { what: () => `another room, told ${client.told}` });
                const count = client.received.length;
                const later = await both();
                await eventually(() => client.received.length > count, { what: 'what goes to the room that was joined' });
                assert.deepEqual(client.received.slice(count).map(numberOf), [later]);

                await orders.write({ order: 'leave', ...whom, room: 'project:p' }); // the same key: instead of the join
                await eventually(() => client.told.includes('unsubscribed project:p not_allowed'), { what: 'the end of this one' });
                const after = client.received.length;
                await both();
                await sleep(200);
                assert.deepEqual(client.received.slice(after).map(numberOf), [], 'deliveries of a lost room');

                const before = client.connects;
                await orders.write({ order: 'disconnect', ...whom, reason: 'test' });
                await eventually(() => client.end, { what: 'its end' });
                assert.match(client.end, /disconnected/);
                await sleep(700); // it does not come back in a loop
                assert.equal(client.connects, before);
                assert.equal(bystander.end, null);
                const again = await open(world, second, { tenant, jti: 'j', iat: now });
                if (by === 'session')
                    assert.equal(again.end, null); // another session
                else
                    assert.match(again.end, /disconnected|refused/);
                again.close();
                bystander.close();
            });
        }
        await t.test(`${name}, tokens of before`, async () => {
            const tenant = `${name}-before`;
            const now = Math.floor(Date.now() / 1000);
            const [old, fresh, silent] = [await open(world, first, { tenant, iat: now - 60 }), await open(world, second, { tenant, iat: now + 5 }), await open(world, first, { tenant })];
            await orders.write({ order: 'not_before', tenant, user: 'u', notBefore: new Date(now * 1000).toISOString() });
            await eventually(() => old.end && silent.end, { what: () => `the end of those with older tokens, ${old.end}, ${silent.end}` });
            assert.match(old.end, /token_revoked|refused/);
            assert.match(silent.end, /token_revoked|refused/);
            assert.equal(fresh.end, null);
            const later = await open(world, second, { tenant, iat: now - 1 });
            assert.match(later.end, /token_revoked|refused/);
            const newer = await open(world, second, { tenant, iat: now + 1 });
            assert.equal(newer.end, null);
            [fresh, newer].forEach((client) => client.close());
        });
    }
    assert.ok(await world.metric(first, 'smartstack_gateway_control_effects_total') > 0);
});

test('control: a gateway that starts later, a crash, faulty records, compaction', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'control-later', {
        topics: TOPICS, settings, brokerSettings: ['log.cleaner.backoff.ms=200'],
        rules: RULES,
    });
    await world.broker.admin((admin) => admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1, configEntries: Object.entries({
        'cleanup.policy': 'compact', 'segment.ms': '500', 'min.cleanable.dirty.ratio': '0.01', 'delete.retention.ms': '100', 'max.compaction.lag.ms': '1000',
    }).map(([name, value]) => ({ name, value })) }] }));
    const orders = await Orders.open(world);
    const gateways = [await world.gateway({ name: 'first' }), await world.gateway({ name: 'second' })];
    const users = Array.from({ length: 100 }, (_, i) => `user-${i}`);
    const claims = (sub) => ({ tenant: 'acme', sub });
    const sessions = await Promise.all(users.slice(0, 40).map((sub, i) => transports[i % 2 ? 'raw' : 'websocket'](world, gateways[i % 2], claims(sub))));

    let killed;
    for (const [i, user] of users.entries()) { // with nonsense in between
        await orders.write({ order: 'disconnect', tenant: 'acme', user });
        if (i % 10 === 0)
            await orders.send([{ key: 'nonsense', value: '{"order":"disconnect","tenant":"acme"}' }, { key: keyOf({ order: 'disconnect', tenant: 'acme' }), value: '{"order":"disconnect","tenant":"acme","usr":"u1"}' }, { key: 'x', value: null }]);
        if (i === 50)
            killed = gateways[0].kill();
    }
    await killed;
    gateways[0] = await world.gateway({ name: 'first-again' });
    await eventually(() => sessions.filter((_, i) => i % 2).every(({ end }) => end === 'disconnected'), { what: 'the end of all at the gateway that lives' });
    for (const gateway of gateways)
        for (const user of [users[0], users[49], users[51], users[99]])
            assert.equal((await transports.websocket(world, gateway, claims(user))).end, 'disconnected', `${user} at ${gateway.name}`);
    assert.equal((await transports.websocket(world, gateways[0], { tenant: 'globex', sub: users[0] })).end, null);
    assert.ok(await world.metric(gateways[1], 'smartstack_gateway_control_faulty_total') >= 30);

    await orders.send(users.slice(0, 50).map((user) => ({ key: keyOf({ order: 'disconnect', tenant: 'acme', user }), value: null }))); // taken back
    await eventually(async () => { // compacted: a record makes the last segment roll
        await orders.write({ order: 'disconnect', tenant: 'nobody', user: 'x' });
        return (await world.broker.read(TOPIC)).filter(({ key }) => key.includes('user-')).length <= 50;
    }, { timeout: 60000 * SLOW, interval: 1000, what: 'the compaction' });
    const late = await world.gateway({ name: 'late' });
    assert.equal((await transports.websocket(world, late, claims(users[0]))).end, null);
    assert.equal((await transports.websocket(world, gateways[1], claims(users[0]))).end, null);
    assert.equal((await transports.websocket(world, late, claims(users[99]))).end, 'disconnected');
    assert.equal(await world.metric(late, 'smartstack_gateway_control_orders'), 51);
});

const command = (config, ...args) => promisify(execFile)(PROGRAMS.gateway, ['--config', config, '--control', ...args])
    .then(({ stdout }) => ({ code: 0, stdout }), ({ code, stdout, stderr }) => ({ code, stdout, stderr }));
const readiness = async (gateway) => (await (await fetch(`${gateway.operations}/readyz`)).json());

test('control: the topic, the limit, and the command', { timeout: 180000 * SLOW }, async (t) => {
    const world = await World.open(t, 'control-command', { topics: { 'tasks.events': 1, 'fanout.tenant': 8, 'two.partitions': 2 }, settings });
    const config = world.writeConfiguration('command', {});
    const gateway = await world.gateway({ ready: false, settings: { gateway: { control: { orders: 2 } } } });
    const detail = async () => JSON.stringify(await readiness(gateway));
    await eventually(async () => /topic_missing/.test(await detail()), { what: 'that the topic is missing' });
    const early = await world.client(gateway, { connect: false });
    early.socket.connect();
    await sleep(500);
    assert.equal(early.socket.connected, false); // and it tries on

    assert.equal((await command(config, 'disconnect', '--tenant', 'acme', '--user', 'u1')).code, 1); // no topic
    assert.match((await command(config, 'create')).stdout, /created/);
    assert.match((await command(config, 'create')).stdout, /is there/);
    await world.waitReady(gateway);
    await eventually(() => early.socket.connected, { what: 'the client that has waited' });

    for (const args of [['kick', '--tenant', 'acme'], ['disconnect'], ['disconnect', '--tenant', 'acme', '--user', 'a', '--token', 'b'], ['leave', '--tenant', 'acme'],
        ['disconnect', '--tenant', 'acme', '--room', 'task:1'], ['disconnect', '--tenant', 'acme', '--expires', 'soon'], ['disconnect', '--tenant', 'acme', '--expires', '2026-01-01T00:00:00Z'], ['disconnect', '--tenant', 'acme', '--expires', '0s'], ['not_before', '--tenant', 'acme', '--not-before', '2999-01-01T00:00:00Z'], ['disconnect', '--tenant', 'acme', '--not-before', 'now'], ['disconnect', '--tenant', 'a\nb']])
        assert.equal((await command(config, ...args)).code, 2, args.join(' '));
    const dry = await command(config, 'disconnect', '--tenant', 'acme', '--user', 'usr_test', '--reason', 'left', '--dry-run');
    assert.match(dry.stdout, /key +\["acme","user","usr_test","disconnect"\]/);
    await sleep(300);
    assert.equal(early.socket.connected, true);
    const written = await command(config, 'disconnect', '--tenant', 'acme', '--user', 'usr_test', '--expires', '1h');
    assert.equal(written.code, 0, written.stderr);
    assert.match(written.stdout, /offset 0/);
    await eventually(() => !early.socket.connected && !early.socket.active, { what: 'the end of the one that it names' });
    assert.equal((await command(config, 'disconnect', '--tenant', 'acme', '--user', 'usr_test', '--lift')).code, 0);
    await eventually(() => world.metric(gateway, 'smartstack_gateway_control_orders').then((count) => count === 0), { what: 'that it is lifted' });

    for (const user of ['a', 'b', 'c']) // one too many
        assert.equal((await command(config, 'disconnect', '--tenant', 'acme', '--user', user, '--expires', '5s')).code, 0);
    await eventually(async () => /control.orders/.test(await detail()), { what: 'that there are too many' });
    await world.waitReady(gateway); // when the time of one is over

    /* Made anew: the log does not go on where it was read. */
    await world.broker.deleteTopics(TOPIC);
    await eventually(async () => /topic_missing/.test(await detail()), { what: 'that the topic has gone' });
    assert.equal((await command(config, 'create')).code, 0);
    await world.waitReady(gateway);
    const later = await world.client(gateway, { claims: { sub: 'later' } });
    assert.equal((await command(config, 'disconnect', '--tenant', 'acme', '--user', 'later', '--expires', '1h')).code, 0);
    await eventually(() => !later.socket.connected && !later.socket.active, { what: 'the end of who is named in the new topic' });

    const other = await world.gateway({ name: 'other', ready: false, settings: { gateway: { control: { topic: 'two.partitions' } } } });
    await eventually(async () => /more_than_one_partition/.test(JSON.stringify(await readiness(other))), { what: 'that there is more than one partition' });
});
