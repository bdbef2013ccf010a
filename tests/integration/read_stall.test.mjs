/* Fetch falls silent while all other connections to the broker live: both programs notice, say so, and read anew; nothing is lost
 * and nothing comes twice. librdkafka is told to be patient, so that it is not what helps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerProxy } from './lib/broker_proxy.mjs';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const STALL_MS = 2000;
const TOLD_MS = 5000; // clients are told within so long, with the gateway's settings as they come
const SETTINGS = {
    kafka: { consumer: { 'socket.timeout.ms': 60000 } },
    dispatcher: { read_stall: `${STALL_MS}ms` },
};
const FANOUT = 'fanout.tenant';
const INPUT = 'tasks.events';

test('reading that stands still is noticed, told and mended', { timeout: 150000 * SLOW }, async (t) => {
    const proxy = await new BrokerProxy().open();
    const world = await World.open(t, 'read_stall', {
        brokerSettings: [proxy.setting], settings: SETTINGS, prepare: (broker) => { proxy.brokerPort = broker.port; },
    });
    t.after(() => proxy.close()); // when all have ended
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    const client = await world.client(gateway, { rooms: ['task:task-1'] });
    const told = [];
    let spoiled, took = 0; // since nothing comes any more; until clients were told
    for (const event of ['stale', 'live'])
        client.socket.on(event, () => told.push(event));
    client.socket.on('stale', () => { took = Math.round(performance.now() - spoiled); });
    let disconnects = 0;
    client.socket.on('disconnect', () => disconnects++);

    const backend = await world.backend();
    let last = 0;
    const write = async (count) => {
        for (let i = 0; i < count; i++) {
            await backend.events([taskEvent({ taskId: 'task-1', n: ++last })]);
            await sleep(20);
        }
    };
    const everything = () => eventually(() => client.received.length >= last,
        { timeout: 20000 * SLOW, what: () => `${last} notifications, ${client.received.length} came\n${gateway.tail()}\n${dispatcher.tail()}` });
    /* Spoils what there is, and writes until the program has done something about it. */
    const spoil = async (clientId, program, metric, change) => {
        const before = await world.metric(program, metric);
        const connections = proxy.fetching(clientId);
        assert.ok(connections.length > 0, `${clientId} fetches`);
        connections.forEach(change);
        spoiled = performance.now();
        await eventually(async () => {
            await write(5);
            return await world.metric(program, metric) > before;
        }, { timeout: 20000 * SLOW, what: () => `${metric} of ${program.name} to rise\n${program.tail()}` });
        await everything();
    };
    const silence = (connection) => { connection.silent = true; };
    const leaveOut = (topic) => (connection) => { connection.unwanted = topic; };

    await write(10);
    await everything();
    assert.deepEqual(told, []);

    await t.test('the gateway, nothing comes', async () => {
        await spoil('smartstack-gateway', gateway, 'smartstack_gateway_kafka_renewed_total', silence);
        await eventually(() => told.length === 2, { what: () => `stale and live, told was: ${told}` });
        assert.deepEqual(told, ['stale', 'live']);
        t.diagnostic(`told after ${took} ms`);
        assert.ok(took > 0 && took < TOLD_MS * SLOW, `told after ${took} ms`);
        assert.equal((await fetch(`${gateway.operations}/readyz`)).status, 200);
        assert.match(gateway.text(), /lane stands still, reading it anew.*fanout\.tenant/);
        assert.equal(await world.metric(gateway, 'smartstack_gateway_lanes_unavailable'), 0);
    });
    await t.test('the gateway, one topic is left out', async () => {
        told.length = 0;
        await spoil('smartstack-gateway', gateway, 'smartstack_gateway_kafka_renewed_total', leaveOut(FANOUT));
        await eventually(() => told.length === 2, { what: () => `stale and live, told was: ${told}` });
        assert.deepEqual(told, ['stale', 'live']);
        t.diagnostic(`told after ${took} ms`);
        assert.ok(took > 0 && took < TOLD_MS * SLOW, `told after ${took} ms`);
    });
    await t.test('the dispatcher, nothing comes', async () => {
        await spoil('dispatcher', dispatcher, 'smartstack_dispatcher_consumer_renewed_total', silence);
        assert.match(dispatcher.text(), /input stands still/);
    });
    await t.test('the dispatcher, one topic is left out', async () => {
        await spoil('dispatcher', dispatcher, 'smartstack_dispatcher_consumer_renewed_total', leaveOut(INPUT));
    });
    await t.test('who is idle or only slow is left alone', async () => {
        const before = await Promise.all([world.metric(gateway, 'smartstack_gateway_lanes_stalled_total'),
            world.metric(dispatcher, 'smartstack_dispatcher_input_stalled_total')]);
        await write(50);
        await sleep(4 * STALL_MS);
        await everything();
        assert.deepEqual(await Promise.all([world.metric(gateway, 'smartstack_gateway_lanes_stalled_total'),
            world.metric(dispatcher, 'smartstack_dispatcher_input_stalled_total')]), before);
    });

    await everything();
    await sleep(500);
    assertConsecutive(client.received, { last, number: ({ notification }) => notification.taskStatus.data.n });
    assert.equal(disconnects, 0, 'nobody was disconnected');
});
