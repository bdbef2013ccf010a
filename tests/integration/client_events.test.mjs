/* Events of clients: produced to their topic with whose they are, acknowledged when the broker has them, refused with a word
 * otherwise; and read by a dispatcher, by the rules of deploy/docs/client-events.md. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SLOW, SOURCE_DIR } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { World } from './lib/world.mjs';

const refusal = (answer) => answer.ok === false && answer.error.code;

const settings = {
    gateway: {
        access: { events: ['task.cancel', { event: 'review.*', if: { role: 'reviewer' } }] },
        client_events: { max_size: 1000, rate: 5, burst: 20, timeout: '3s' },
    },
};

const [, RULES] = fs.readFileSync(path.join(SOURCE_DIR, 'deploy/docs/client-events.md'), 'utf8').match(/^```yaml\n(rules:[^]*?)^```$/m);

describe('client events', { timeout: 120000 * SLOW }, () => {
    let world, gateway;

    before(async () => {
        world = await World.open(null, 'client-events', { broker: 'own', settings });
        gateway = await world.gateway();
    });
    after(() => world?.close());

    /* The first record with such a payload: an event that was acknowledged is there. */
    const recordOf = async (payload) => (await world.broker.read('clients.events', { headers: true })).find(({ value }) => value.toString() === JSON.stringify(payload));
    it('carry their payload unharmed, and headers', async () => {
        const client = await world.client(gateway, { rooms: ['task:t1'] });
        const payload = { taskId: 't1', note: 'é😀\u2028', z: 1, a: [1.5, null, {}] };
        const about = { id: 'c-1', room: 'task:t1', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
        assert.deepEqual(await client.ask('task.cancel', payload, about), { ok: true });
        const record = await recordOf(payload);
        assert.equal(record?.key.toString(), 'usr_test');
        const { ce_time: time, ...headers } = record.headers;
        assert.deepEqual(headers, {
            'content-type': 'application/json', ce_specversion: '1.0', ce_type: 'task.cancel', ce_id: 'c-1', ce_source: 'client/acme/usr_test',
            ce_userid: 'usr_test', ce_tenantid: 'acme', ce_session: client.socket.id, ce_room: 'task:t1', traceparent: about.traceparent,
        });
        assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.ok(Math.abs(Date.parse(time) - record.timestamp) < 60000, `${time}, and the record's ${record.timestamp}`);
    });

    it('get an id if the client gives none', async () => {
        const client = await world.client(gateway);
        assert.deepEqual(await client.ask('task.cancel'), { ok: true });
        const record = await recordOf(null);
        assert.match(record?.headers.ce_id ?? '', /^[0-9a-f]{32}$/);
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

/* Two reviewers claim at once, and one comments; what each screen hears is one and the same, and a client's id is no backend's. */
it('of clients come to rooms by rules', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'client-events-rules', {
        rules: RULES,
        settings: { ...settings, dispatcher: { input_topics: ['tasks.events', 'clients.events'] } },
    });
    const gateway = await world.gateway();
    await world.dispatcher();
    const reviewer = (sub) => world.client(gateway, { claims: { sub, role: 'reviewer', reviewQueues: ['legal'] } });
    const [ann, bob] = [await reviewer('ann'), await reviewer('bob/é')];
    const outsider = await world.client(gateway, { claims: { sub: 'ann', tenant: 'other', role: 'reviewer', reviewQueues: ['legal'] } });
    const about = { id: 'one', room: 'review:legal' };

    const answers = await Promise.all([
        ann.ask('review.claim', { taskId: '42', version: 1 }, about), bob.ask('review.claim', { taskId: '42', version: 1 }, about),
        ann.ask('review.comment', { text: 'page 3' }, { room: 'review:legal' }),
        ann.ask('review.comment', { text: 'of no room' }), // is in the topic, and no rule is for it
    ]);
    assert.ok(answers.every(({ ok }) => ok), JSON.stringify(answers));
    assert.equal(refusal(await outsider.ask('review.claim', {}, { room: 'review:finance' })), 'not_allowed');

    const seen = (client) => client.room('review:legal').map(({ notification: { clientNotification: { title, body, data } } }) => ({ title, body, data }));
    await eventually(() => seen(ann).length >= 3 && seen(bob).length >= 3, { what: () => `two claims and a comment: ${JSON.stringify(seen(ann))}` });
    assert.deepEqual(seen(ann), seen(bob), 'one order on all screens');
    assert.deepEqual(seen(ann).map(({ title, body }) => body ?? title).sort(), ['ann looks at 42', 'bob/é looks at 42', 'page 3']);
    assert.deepEqual(seen(ann).find(({ title }) => title === 'ann looks at 42').data, { taskId: '42', version: 1 });
    assert.deepEqual(seen(outsider), [], 'a tenant is a wall');

    /* The same id of the same person is the same event; a backend's event of that id is another. */
    assert.deepEqual(await ann.ask('review.claim', { taskId: '42', version: 1 }, about), { ok: true });
    const backend = await world.backend();
    await backend.records([{ key: '42', value: JSON.stringify({ id: 'one', event: 'review.comment', tenantId: 'acme', userId: 'ann', source: 'client/backend', room: 'review:legal', data: { text: 'last' } }) }], 'tasks.events');
    await eventually(() => seen(bob).length >= 4, { what: 'what the backend says' });
    assert.equal(seen(bob).length, 4);
    assert.equal(seen(bob).at(-1).body, 'last');
});
