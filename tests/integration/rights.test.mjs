/* Tenants are apart, and rights are those of the last token: in every transport, at the gateway where a client is, and at the
 * one to which it goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocketClient } from './lib/streams.mjs';
import { token } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, World } from './lib/world.mjs';

const RULES = `rules:
  - name: all
    when: {"event": [{"prefix": "task."}]}
    notify: {type: task.status, rooms: ["task:{taskId}", "user:{userId}", "project:{projectId}"]}
  - name: failures
    when: {"event": ["task.failed"]}
    review: {queue: legal, reason: failed}
`;
/* The same names in both tenants. */
const event = (tenantId, n, name = 'task.progress') => ({
    id: `same-${n}`, event: name, time: new Date().toISOString(), tenantId, userId: 'u', taskId: 't', projectId: 'p', type: 'x', data: { tenant: tenantId, n },
});
const bearer = (tenant, more = {}) => token({ sub: 'u', tenant, ...more }, SECRET);
const dataOf = ({ notification }) => (notification.taskStatus ?? notification.reviewAlert).data;

for (const layout of ['tenant', 'user']) {
    test(`rights: with layout ${layout}, tenants with the same names are apart`, { timeout: 120000 * SLOW }, async (t) => {
        const rooms = layout === 'user' ? { project: { topic: 'fanout.project', partitions: 2 } } : {};
        const topics = { 'tasks.events': 1, 'tasks.dead-letter': 1, 'tasks.audit': 1, 'fanout.tenant': 8, 'fanout.user': 8, 'fanout.project': 2, 'fanout.review.legal': 1 };
        const settings = { layout, rooms, gateway: { access: { connect: ['user:{sub}', 'review:{reviewQueues}'], join: ['task:*', 'project:*'] } } };
        const world = await World.open(t, `rights-${layout}`, { broker: 'embedded', topics, rules: RULES, settings });
        await world.dispatcher();
        const gateway = await world.gateway();
        const backend = await world.backend();
        const clients = {};
        for (const tenant of ['acme', 'globex']) {
            clients[tenant] = await world.client(gateway, { claims: { sub: 'u', tenant, reviewQueues: ['legal'] }, rooms: ['task:t', 'project:p'] });
            await backend.events([event(tenant, 0)]);
        }
        for (let n = 1; n <= 20; n++)
            await backend.events(['acme', 'globex'].map((tenant) => event(tenant, n, n % 4 ? 'task.progress' : 'task.failed')));
        for (const [tenant, client] of Object.entries(clients)) {
            await eventually(() => client.received.some((entry) => entry.event === 'review.alert'), { what: `the alert of ${tenant}` });
            await eventually(() => client.room('task:t').some((entry) => entry.event === 'task.status' && dataOf(entry).n === 20), { what: `the last event of ${tenant}` });
        }
        await sleep(300);
        for (const [tenant, { received }] of Object.entries(clients)) {
            assert.deepEqual(received.filter((entry) => dataOf(entry).tenant !== tenant), [], `${tenant} was given another's`);
            assert.equal(received.filter(({ event: name }) => name === 'review.alert').length, 2); // of the one that is open: by the queue, and by the owner's rooms
        }
    });
}

/* What a client of each transport does to bring another token, and to go to another gateway. `told` collects
 * "unsubscribed review:legal" and so on. */
const transports = {
    async polling(world, gateway, claims) { return socketio(world, gateway, claims, ['polling']); },
    async websocket(world, gateway, claims) { return socketio(world, gateway, claims, ['websocket']); },
    async raw(world, gateway, claims) { return raw(world, gateway, claims, 'smartstack.v1.json'); },
    async protobuf(world, gateway, claims) { return raw(world, gateway, claims, 'smartstack.v1.protobuf'); },
};

async function socketio(world, gateway, claims, names) {
    const client = await world.client(gateway, { claims: { sub: 'u', tenant: 'acme', ...claims }, options: { transports: names } });
    const told = [];
    for (const name of ['subscribed', 'unsubscribed'])
        client.socket.on(name, ({ room }) => told.push(`${name} ${room}`));
    return {
        told,
        received: client.received,
        refresh: async (more) => (await client.ask('token', bearer('acme', more))).ok,
        foreign: async () => (await client.ask('token', bearer('globex'))).error.code,
        join: async (room) => (await client.ask('subscribe', room)).error?.code ?? 'ok',
        async move(other, more) {
            client.socket.auth = { ...client.socket.auth, token: bearer('acme', more) };
            client.socket.io.uri = other.url;
            client.socket.io.engine.close();
            await eventually(() => client.socket.connected && client.socket.recovered, { what: 'its return to another gateway' });
        },
    };
}

async function raw(world, gateway, claims, protocol) {
    const client = new WebSocketClient(gateway.url, { protocol, token: bearer('acme', claims) });
    world.clients.push(client);
    await client.connect();
    return {
        get told() { return client.messages.filter(({ type: kind }) => /subscribed$/.test(kind)).map(({ type: kind, room }) => `${kind} ${room}`); },
        received: client.received,
        refresh: async (more) => (await client.ask({ type: 'token', token: bearer('acme', more) })).type === 'ack',
        foreign: async () => (await client.ask({ type: 'token', token: bearer('globex') })).error.code,
        join: async (room) => (await client.ask({ type: 'subscribe', rooms: [room] })).error?.code ?? 'ok',
        async move(other, more) {
            const before = client.welcomes.length;
            client.token = bearer('acme', more);
            client.url = `${other.url.replace('http', 'ws')}/ws`;
            client.socket.terminate();
            await eventually(() => client.welcomes.length > before, { what: 'its return to another gateway' });
            assert.equal(client.welcomes.at(-1).recovered, true);
        },
    };
}

test('rights: a fresh token takes and gives, here and at another gateway', { timeout: 180000 * SLOW }, async (t) => {
    const settings = { gateway: { access: { connect: ['user:{sub}', 'project:{projects}'], join: [{ room: 'task:*', if: { role: 'member' } }] } } };
    const world = await World.open(t, 'rights-refresh', { broker: 'embedded', rules: RULES, settings });
    await world.dispatcher();
    const [first, second] = [await world.gateway({ name: 'first' }), await world.gateway({ name: 'second' })];
    const backend = await world.backend();
    let n = 0;
    for (const [name, open] of Object.entries(transports)) {
        await t.test(name, async () => {
            const client = await open(world, first, { projects: ['p', 'q'], role: 'member' });
            const given = async (expected) => {
                const before = client.received.length;
                await backend.events([event('acme', ++n)]);
                await eventually(() => client.received.slice(before).some((entry) => dataOf(entry).n === n), { what: 'the event, by the user\'s room' });
                const rooms = client.received.slice(before).flatMap(({ notification }) => notification.rooms);
                assert.ok(rooms.includes('user:u'));
                assert.equal(await client.join('task:t'), expected.task, 'task');
            };
            assert.equal(await client.join('task:t'), 'ok');
            await given({ task: 'ok' });
            assert.ok(await client.refresh({ projects: ['q'] })); // down
            assert.deepEqual(client.told.filter((what) => what.startsWith('un')).sort(), ['unsubscribed project:p', 'unsubscribed task:t']);
            await given({ task: 'not_allowed' });
            assert.ok(await client.refresh({ projects: ['q', 'r'] })); // up
            await eventually(() => client.told.at(-1) === 'subscribed project:r', { what: 'the room that is given' });
            await client.move(second, { projects: ['r', 's'] }); // sideways, with the other gateway
            await eventually(() => ['unsubscribed project:q', 'subscribed project:s'].every((what) => client.told.includes(what)), { what: () => `what has changed, of ${client.told}` });
            await given({ task: 'not_allowed' });
            assert.ok(await client.refresh({ projects: ['s'], role: 'member' })); // and there
            assert.ok(client.told.includes('unsubscribed project:r'));
            await given({ task: 'ok' });
            assert.equal(await client.foreign(), 'other_principal');
        });
    }
});
