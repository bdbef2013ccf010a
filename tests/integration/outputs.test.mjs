/* What the dispatcher does when its outputs cannot be written, and no record is to blame: it says so and waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNotification, FORMS } from './lib/backend.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { taskEvent, TOPICS, World } from './lib/world.mjs';

const numbers = async (world) => (await world.broker.read('fanout.tenant')).map(({ value }) => JSON.parse(decodeNotification(value).taskStatus.data).n);

test('partitions that have gone are waited for, and nothing is lost', { timeout: 180000 * SLOW }, async (t) => {
    const world = await World.open(t, 'outputs_gone');
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    await backend.records([FORMS.json(taskEvent({ taskId: 'task-1', n: 0 }))]);
    await eventually(async () => (await numbers(world)).length === 1, { interval: 500, what: 'the first' });

    const recreate = async (partitions) => {
        await world.broker.deleteTopics('fanout.tenant');
        await world.broker.createTopics({ 'fanout.tenant': partitions });
    };
    await recreate(1);
    await backend.records(Array.from({ length: 100 }, (_, i) => FORMS.json(taskEvent({ taskId: 'task-1', n: i + 1 }))));
    await eventually(async () => {
        const response = await fetch(`${dispatcher.operations}/readyz`);
        return response.status === 503 && (await response.text()).includes('fanout.tenant has 1 partitions, 8 are needed');
    }, { timeout: 60000 * SLOW, interval: 200, what: () => `not ready, and why\n${dispatcher.tail()}` });
    await recreate(TOPICS['fanout.tenant']);
    await eventually(async () => (await numbers(world)).length >= 100, { timeout: 60000 * SLOW, interval: 500, what: () => `the rest\n${dispatcher.tail()}` });
    assert.deepEqual(await numbers(world), Array.from({ length: 100 }, (_, i) => i + 1));
    assert.equal((await world.broker.read('tasks.dead-letter')).length, 0);
});
