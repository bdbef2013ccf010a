/* Events of clients: produced to their topic with whose they are, acknowledged when the broker has them, refused with a word
 * otherwise. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { SLOW } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { World } from './lib/world.mjs';

const settings = {
    gateway: {
        access: { events: ['task.cancel', { event: 'review.*', if: { role: 'reviewer' } }] },
        client_events: { max_size: 1000, rate: 5, burst: 20, timeout: '3s' },
    },
};

describe('client events', { timeout: 120000 * SLOW }, () => {
    let world, gateway, consumer;
    const records = [];

    before(async () => {
        world = await World.open(null, 'client-events', { settings });
        gateway = await world.gateway();
        consumer = world.broker.kafka('reader').consumer({ groupId: 'reader', maxWaitTimeInMs: 50 });
        await consumer.connect();
        await consumer.subscribe({ topic: 'clients.events', fromBeginning: true });
        await consumer.run({ eachMessage: async ({ message }) => { records.push(message); } });
    });
    after(async () => {
        await consumer.disconnect();
        await world.close();
    });

    const headers = (record) => Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, value.toString()]));
    const refusal = (answer) => answer.ok === false && answer.error.code;

    it('carry their payload unharmed, and headers', async () => {
        const client = await world.client(gateway, { rooms: ['task:t1'] });
        const payload = { taskId: 't1', note: 'é😀\u2028', z: 1, a: [1.5, null, {}] };
        const about = { id: 'c-1', room: 'task:t1', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
        assert.deepEqual(await client.ask('task.cancel', payload, about), { ok: true });
        await eventually(() => records.length === 1, { timeout: 20000 * SLOW, what: 'the record' });
        assert.equal(records[0].key.toString(), 'usr_test');
        assert.equal(records[0].value.toString(), JSON.stringify(payload));
        assert.deepEqual(headers(records[0]), {
            'content-type': 'application/json', event: 'task.cancel', id: 'c-1', user: 'usr_test', tenant: 'acme',
            session: client.socket.id, room: 'task:t1', traceparent: about.traceparent,
        });
    });

    it('get an id if the client gives none', async () => {
        const client = await world.client(gateway);
        assert.deepEqual(await client.ask('task.cancel'), { ok: true });
        await eventually(() => records.length === 2, { timeout: 20000 * SLOW, what: 'the record' });
        assert.match(headers(records[1]).id, /^[0-9a-f]{32}$/);
        assert.equal(records[1].value.toString(), 'null');
    });

    it('are refused with a word', async () => {
        const client = await world.client(gateway, { rooms: ['task:t1'] });
        assert.equal(refusal(await client.ask('task.destroy', {})), 'unknown_event');
        assert.equal(refusal(await client.ask('review.done', {})), 'not_allowed');
        assert.equal(refusal(await client.ask('task.cancel', {}, { room: 'task:t2' })), 'not_allowed');
        assert.equal(refusal(await client.ask('task.cancel', 'x'.repeat(1001))), 'too_large');
        assert.equal(refusal(await client.ask('task.cancel', Buffer.from('binary'))), 'bad_request');
        assert.equal(refusal(await client.ask('task.cancel', {}, 7)), 'bad_request');
        const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => client.ask('task.cancel', n)));
        assert.ok(answers.filter(({ ok }) => ok).length >= 20);
        assert.ok(answers.some((answer) => refusal(answer) === 'rate_limited'));
    });

    it('of a reviewer pass', async () => {
        const client = await world.client(gateway, { claims: { role: ['member', 'reviewer'] } });
        assert.deepEqual(await client.ask('review.done', {}), { ok: true });
    });

    it('are told when the broker is away, and pass again when it is back', async () => {
        const client = await world.client(gateway);
        await world.broker.kill();
        assert.equal(refusal(await client.ask('task.cancel', {}, { id: 'again' })), 'unavailable');
        await world.broker.start();
        await eventually(async () => (await client.ask('task.cancel', {}, { id: 'again' })).ok, { timeout: 30000 * SLOW, what: 'an ack' });
        assert.ok(client.socket.connected);
    });
});
