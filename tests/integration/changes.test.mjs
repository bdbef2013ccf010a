/* Settings that all gateways share are changed one gateway at a time: clients that move between the old and the new are recovered, or told why not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { RoundRobin } from './lib/round_robin.mjs';
import { eventually } from './lib/wait.mjs';
import { taskEvent, TOPICS, World } from './lib/world.mjs';

const [OLD, NEW] = ['old', 'new'].map((word) => `the-${word}-key-of-the-tests-0123456789abcdef`);

/* A client behind a balancer that sends it to one gateway at a time. */
async function begin(t, name, { topics = TOPICS, settings } = {}) {
    const world = await World.open(t, name, { broker: 'embedded', topics, settings });
    const balancer = await new RoundRobin([]).start();
    t.after(() => balancer.stop());
    const to = (gateway) => { balancer.targets = [new URL(gateway.url)]; };
    const backend = await world.backend();
    let last = 0;
    return { world, balancer, to, backend, publish: () => backend.events([taskEvent({ taskId: '1', n: ++last })]), published: () => last };
}

const numberOf = ({ notification }) => notification.taskStatus.data.n;

/* Cut off, and back wherever the balancer sends it. Whether it was recovered, or the reason why not. */
async function moves(client) {
    const fresh = new Promise((resolve) => { client.socket.once('session', ({ reason }) => resolve(reason)); });
    const back = new Promise((resolve) => { client.socket.once('connect', resolve); });
    client.socket.io.engine.close();
    await back;
    return client.socket.recovered ? 'recovered' : fresh;
}

test('recovery.keys: the new one behind the old, before it, alone', { timeout: 120000 * SLOW }, async (t) => {
    const { world, to, balancer, publish, published } = await begin(t, 'changes-keys');
    await world.dispatcher();
    const gateways = {};
    for (const [name, keys] of Object.entries({ old: OLD, 'old-new': `${OLD},${NEW}`, 'new-old': `${NEW},${OLD}`, new: NEW }))
        gateways[name] = await world.gateway({ name, settings: { gateway: { recovery: { keys } } } });
    /* While a step is taken, clients move between what was before and what comes, both ways. */
    async function move(clients, names) {
        for (const name of names) {
            to(gateways[name]);
            const moved = clients.map(moves);
            await publish();
            assert.deepEqual(await Promise.all(moved), clients.map(() => 'recovered'), name);
            await Promise.all(clients.map((client) => client.waitCount(published() - client.before)));
        }
    }
    const connect = async (name) => {
        to(gateways[name]);
        return Object.assign(await world.client(balancer, { rooms: ['task:1'] }), { before: published() });
    };
    const early = await connect('old');
    await move([early], ['old-new', 'old', 'old-new', 'new-old', 'old-new', 'new-old']);
    const late = await connect('new-old');
    await move([early, late], ['old-new', 'new-old']);
    await move([late], ['new', 'new-old', 'new']);
    assertConsecutive(late.received, { first: late.before + 1, last: published(), number: numberOf });
    /* The name of a session is signed when it begins, and a stock client that got another would take itself for a new one. */
    assert.equal(await moves(early), 'unknown_session');
});

test('layout: a client that finds another one is told, and hears what follows', { timeout: 120000 * SLOW }, async (t) => {
    const topics = { ...TOPICS, 'fanout.other': 2 };
    const { world, to, balancer, publish, published } = await begin(t, 'changes-layout', { topics });
    const other = { rooms: { task: { topic: 'fanout.other', key: '{tenant}', partitions: 2 } } };
    const dispatcher = await world.dispatcher();
    const [before, after] = [await world.gateway({ name: 'before' }), await world.gateway({ name: 'after', settings: other })];
    to(before);
    const client = await world.client(balancer, { rooms: ['task:1'] });
    await publish();
    await client.waitCount(1);
    to(after);
    assert.equal(await moves(client), 'layout');
    to(before); // which was not changed yet
    assert.equal(await moves(client), 'layout');
    to(after);
    assert.equal(await moves(client), 'layout');
    await client.subscribe('task:1');
    await dispatcher.stop();
    await world.dispatcher({ settings: other });
    await publish();
    await client.waitCount(published());
    assertConsecutive(client.received, { last: published(), number: numberOf });
});

test('peers: one address is one gateway', { timeout: 60000 * SLOW }, async (t) => {
    const world = await World.open(t, 'changes-peers', { broker: 'embedded' });
    const settings = { gateway: { peers: { port: await freePort() } } };
    await world.gateway({ name: 'first', settings });
    const second = await world.gateway({ name: 'second', ready: false, settings });
    await eventually(() => !second.alive, { what: () => `the second to end\n${second.tail()}` });
    assert.match(second.tail(), new RegExp(`${settings.gateway.peers.port}.*in use`, 'i'));
    world.programs.splice(world.programs.indexOf(second), 1); // has ended as it should
});
