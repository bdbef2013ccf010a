/* Every form in which a backend may write an event, on a real broker: it reaches the clients of its rooms, and its data
 * reaches them as it was written. */
import assert from 'node:assert/strict';
import { describe, it, before, after } from 'node:test';
import { decodeNotification, encodeTaskEvent, FORMS, produceByKcat } from './lib/backend.mjs';
import { SLOW } from './lib/places.mjs';
import { sleep } from './lib/wait.mjs';
import { taskEvent, TOPICS, World } from './lib/world.mjs';

/* What a parser would change: big numbers, digits beyond a double, the order of keys, names twice, escapes, Unicode. */
const DELICATE = '{"z":1,"a":12345678901234567890123,"pi":3.14159265358979323846264338,"e":1E400,"minus":-0,"zero":0.10,'
    + '"10":"ten","9":"nine","escaped":"\\u00e9\\/\\ud83d\\ude00","plain":"é😀\u2028漢字","nested":{"b":[1.0,2.50,{"y":null,"x":true}],"a":{}},"empty":""}';

describe('formats', { timeout: 120000 * SLOW }, () => {
    let world, gateway, backend;
    const clients = {};

    before(async () => {
        world = await World.open(null, 'formats', {
            topics: { ...TOPICS, 'plain.protobuf': 1 },
            settings: { dispatcher: { input_topics: ['tasks.events', 'plain.protobuf'], content_types: { 'plain.protobuf': 'application/protobuf' } } },
        });
        await world.dispatcher();
        gateway = await world.gateway();
        backend = await world.backend();
    });
    after(() => world?.close());

    /* A client in the task's room, another in another's, with the frames that the first one got as they came. */
    async function watch(taskId) {
        const frames = [];
        const client = await world.client(gateway, { rooms: [`task:${taskId}`], options: { transports: ['websocket'] } });
        client.socket.io.engine.on('packet', ({ type, data }) => type === 'message' && frames.push(String(data)));
        const other = await world.client(gateway, { rooms: [`task:${taskId}-other`] });
        return { client, other, frames };
    }

    async function assertArrives({ client, other, frames }, taskId, eventId, data) {
        const [entry] = await client.waitCount(1, 20000 * SLOW);
        assert.equal(entry.event, 'task.status');
        const { notification } = entry;
        assert.deepEqual(notification.rooms, [`task:${taskId}`]);
        assert.equal(notification.eventId, eventId);
        assert.equal(notification.taskStatus.taskId, taskId);
        assert.equal(notification.taskStatus.event, 'task.progress');
        assert.ok(frames.some((frame) => frame.includes(`"data":${data}`)), `data as it was written: ${frames.join('\n')}`);
        await sleep(200);
        assert.equal(client.received.length, 1, 'once');
        assert.equal(other.received.length, 0, 'nobody else gets it');
    }

    /* The JSON forms, with the delicate data in place. */
    const withData = (form, taskId) => {
        const event = taskEvent({ taskId, n: 1, data: { marker: 1 } });
        const record = FORMS[form](event);
        record.value = record.value.replace('{"marker":1}', () => DELICATE);
        assert.ok(record.value.includes(DELICATE));
        return { event, record };
    };

    for (const form of ['json', 'cloudevent', 'cloudeventBinary']) {
        it(`${form} from kafkajs`, async () => {
            const taskId = `kafkajs-${form}`;
            const seen = await watch(taskId);
            const { event, record } = withData(form, taskId);
            await backend.records([record]);
            await assertArrives(seen, taskId, event.id, DELICATE);
        });
        it(`${form} from kcat`, async () => {
            const taskId = `kcat-${form}`;
            const seen = await watch(taskId);
            const { event, record } = withData(form, taskId);
            await produceByKcat(world.broker, record, { directory: world.data });
            await assertArrives(seen, taskId, event.id, DELICATE);
        });
    }

    it('protobuf without a word of it in a topic of such', async () => {
        const seen = await watch('plain');
        const event = taskEvent({ taskId: 'plain', n: 1, data: DELICATE });
        await backend.records([{ key: 'plain', headers: { 'content-type': 'application/octet-stream' }, value: encodeTaskEvent(event) }], 'plain.protobuf');
        await assertArrives(seen, 'plain', event.id, DELICATE);
    });

    for (const from of ['kafkajs', 'kcat']) {
        it(`protobuf from ${from}`, async () => {
            const taskId = `${from}-protobuf`;
            const seen = await watch(taskId);
            const event = taskEvent({ taskId, n: 1, data: DELICATE });
            const record = { key: taskId, headers: { 'content-type': 'application/protobuf' }, value: encodeTaskEvent(event) };
            if (from === 'kcat')
                await produceByKcat(world.broker, record, { directory: world.data });
            else
                await backend.records([record]);
            await assertArrives(seen, taskId, event.id, DELICATE);
        });
    }

    it('a polling client gets them as well', async () => {
        const client = await world.client(gateway, { rooms: ['task:polling'], options: { transports: ['polling'] } });
        await backend.events([1, 2, 3].map((n) => taskEvent({ taskId: 'polling', n })));
        await client.waitCount(3, 20000 * SLOW);
        assert.deepEqual(client.received.map(({ notification }) => notification.taskStatus.data.n), [1, 2, 3]);
        assert.equal(client.transport, 'polling');
    });

    it('a client with default transports upgrades and misses nothing', async () => {
        const client = await world.client(gateway, { rooms: ['task:upgrade'] });
        for (let n = 1; n <= 40; n++) {
            await backend.events([taskEvent({ taskId: 'upgrade', n })]);
            await sleep(5);
        }
        await client.waitCount(40, 20000 * SLOW);
        assert.deepEqual(client.received.map(({ notification }) => notification.taskStatus.data.n), Array.from({ length: 40 }, (_, i) => i + 1));
        assert.equal(client.transport, 'websocket');
    });

    it('low confidence alerts the reviewers of its queue', async () => {
        const reviewer = await world.client(gateway, { claims: { sub: 'usr_reviewer', reviewQueues: ['legal'] } });
        const owner = await world.client(gateway, { claims: { sub: 'usr_owner' } });
        await backend.events([taskEvent({ taskId: 'review', n: 1, event: 'task.completed', userId: 'usr_owner', data: { confidence: 0.5 } })]);
        await reviewer.waitCount(1, 20000 * SLOW);
        await owner.waitCount(1, 20000 * SLOW);
        const alert = reviewer.received.find(({ event }) => event === 'review.alert').notification;
        assert.equal(alert.reviewAlert.queue, 'legal');
        assert.equal(alert.reviewAlert.reason, 'confidence 0.5 is below 0.8');
        assert.equal(alert.reviewAlert.priority, 'high');
        assert.equal(alert.reviewAlert.taskId, 'review');
        assert.ok(owner.received.some(({ event }) => event === 'task.status'));
    });

    it('what stands in the lane is a Notification as proto/ says', async () => {
        const records = await world.broker.read('fanout.tenant');
        const notifications = records.map(({ value }) => decodeNotification(value));
        assert.ok(notifications.length >= 50, `${notifications.length} records`);
        assert.ok(notifications.every(({ id, rooms, eventId }) => id && rooms.length > 0 && eventId));
        assert.ok(records.every(({ key }) => key.toString() === 'acme'));
        assert.equal(new Set(records.map(({ partition }) => partition)).size, 1, 'one tenant, one lane');
    });
});
