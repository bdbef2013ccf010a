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
    let world, gateway;

    before(async () => {
        world = await World.open(null, 'client-events', { settings });
        gateway = await world.gateway();
    });
    after(() => world?.close());

    /* The first record with such a payload: an event that was acknowledged is there. */
    const recordOf = async (payload) => (await world.broker.read('clients.events', { headers: true })).find(({ value }) => value.toString() === JSON.stringify(payload));
    const refusal = (answer) => answer.ok === false && answer.error.code;

    it('carry their payload unharmed, and headers', async () => {
        const client = await world.client(gateway, { rooms: ['task:t1'] });
        const payload = { taskId: 't1', note: 'é😀\u2028', z: 1, a: [1.5, null, {}] };
        const about = { id: 'c-1', room: 'task:t1', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
        assert.deepEqual(await client.ask('task.cancel', payload, about), { ok: true });
        const record = await recordOf(payload);
        assert.equal(record?.key.toString(), 'usr_test');
        assert.deepEqual(record.headers, {
            'content-type': 'application/json', event: 'task.cancel', id: 'c-1', user: 'usr_test', tenant: 'acme',
            session: client.socket.id, room: 'task:t1', traceparent: about.traceparent,
        });
    });

    it('get an id if the client gives none', async () => {
        const client = await world.client(gateway);
        assert.deepEqual(await client.ask('task.cancel'), { ok: true });
        const record = await recordOf(null);
        assert.match(record?.headers.id ?? '', /^[0-9a-f]{32}$/);
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
        const refused = answers.filter((answer) => refusal(answer) === 'rate_limited');
        assert.ok(refused.length > 0 && refused.every(({ error }) => error.retryAfter >= 1), JSON.stringify(refused[0]));
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
