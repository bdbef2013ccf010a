/* What the dispatcher's transactions rest on: a record that no broker takes stands alone in the end, what was seen stays
 * seen over a restart, and who starts in a slot ends what was left open there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNotification, FORMS } from './lib/backend.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const published = async (world) => (await world.broker.read('fanout.tenant'))
    .map(({ value }) => decodeNotification(value)).map(({ taskStatus }) => JSON.parse(taskStatus.data).n);
const event = (n, more) => FORMS.json(taskEvent({ taskId: 'task-1', n, ...more }));
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

async function expectPublished(world, dispatcher, expected) {
    await eventually(async () => (await published(world)).length >= expected.length,
        { timeout: 40000 * SLOW, interval: 500, what: () => `${expected.length} notifications\n${dispatcher.tail()}` });
    await sleep(500);
    assert.deepEqual(await published(world), expected);
}

test('a record that the broker refuses becomes a dead letter, the others of its batch pass', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'batches-poison');
    await world.broker.admin((admin) => admin.alterConfigs({
        validateOnly: false, resources: [{ type: 2, name: 'fanout.tenant', configEntries: [{ name: 'max.message.bytes', value: '20000' }] }],
    }));
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    const poison = { n: 50, text: Array.from({ length: 5000 }, (_, i) => (i * 7919) % 99991).join() };
    await backend.records(range(1, 100).map((n) => event(n, n === 50 ? { data: poison } : {})));
    await expectPublished(world, dispatcher, range(1, 100).filter((n) => n !== 50));
    const dead = await world.broker.read('tasks.dead-letter');
    assert.deepEqual(dead.map(({ value }) => JSON.parse(value).data.n), [50]);
});

test('an event that was seen before a restart is not published again', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'batches-seen');
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    await backend.records(range(1, 20).map((n) => event(n)));
    await expectPublished(world, dispatcher, range(1, 20));
    await dispatcher.kill();
    await backend.records(range(11, 30).map((n) => event(n)));
    dispatcher.start();
    await expectPublished(world, dispatcher, range(1, 30));
});

test('each event of a batch of CloudEvents happens once and in order, whenever the dispatcher dies', { timeout: 200000 * SLOW }, async (t) => {
    const BATCHES = 40, EACH = 50;
    const world = await World.open(t, 'batches-cloudevents', { settings: { dispatcher: { batch: { events: 3 } } } });
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    const cloud = (n) => FORMS.cloudevent(taskEvent({ taskId: 'task-1', n })).value;
    const batch = (values) => ({ key: 'task-1', headers: { 'content-type': 'application/cloudevents-batch+json; charset=UTF-8' }, value: `[${values.join(', ')}]` });
    for (let i = 0; i < BATCHES; i++) {
        const values = range(1, EACH).map((k) => cloud(i * EACH + k));
        if (i === 20)
            values.splice(10, 0, '{"specversion":"1.0","id":"bad"}');
        await backend.records([batch(values)]);
        if (i % 13 === 12) {
            await dispatcher.kill();
            dispatcher.start();
        }
    }
    await backend.records([batch([]), batch([cloud(1), '{"specversion":"1.0"'])]);
    await expectPublished(world, dispatcher, range(1, BATCHES * EACH));
    const dead = await world.broker.read('tasks.dead-letter', { headers: true });
    assert.deepEqual(dead.map(({ value }) => value.toString().slice(0, 32)), ['{"specversion":"1.0","id":"bad"}', `[${cloud(1).slice(0, 31)}`]);
    const [part, whole] = dead.map(({ headers }) => headers);
    assert.equal(part['content-type'], 'application/cloudevents+json');
    assert.equal(part['dead-letter-part'], '11');
    assert.equal(part['dead-letter-problem'], 'CloudEvent without source');
    assert.match(whole['content-type'], /batch/);
});

test('what a slot left open is ended when a dispatcher starts in it', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'batches-left-open');
    /* As a dispatcher does that dies within a transaction; but one that would stand for minutes. */
    const dead = world.broker.kafka('dead').producer({
        transactionalId: 'smartstack-dispatcher-dispatcher', idempotent: true, maxInFlightRequests: 1, transactionTimeout: 600000,
    });
    await dead.connect();
    t.after(() => dead.disconnect());
    const open = await dead.transaction();
    await open.send({ topic: 'fanout.tenant', messages: range(0, 7).map((partition) => ({ partition, value: 'never committed' })) });
    const dispatcher = await world.dispatcher({ name: 'dispatcher' });
    const backend = await world.backend();
    await backend.records(range(1, 10).map((n) => event(n)));
    await expectPublished(world, dispatcher, range(1, 10));
});

test('transactions keep their distance', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'batches-gap', { settings: { dispatcher: { batch: { gap: '500ms', time: '1s' } } } });
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    const committed = () => world.metric(dispatcher, 'smartstack_dispatcher_transactions_total{outcome="committed"}');
    const before = await committed();
    const started = performance.now();
    for (const n of range(1, 60)) {
        await backend.records([event(n)]);
        await sleep(20);
    }
    const most = (performance.now() - started) / 500 + 2; // and what is read behind the last of them
    await expectPublished(world, dispatcher, range(1, 60));
    const count = await committed() - before;
    assert.ok(count >= 1 && count <= most, `${count} transactions, at most ${most} keep a distance of 500 ms`);
    t.diagnostic(`${count} transactions`);
});
