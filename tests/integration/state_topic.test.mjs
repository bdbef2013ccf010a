/* The dispatcher's own topics: what is made once, and with which settings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOW } from './lib/places.mjs';
import { World } from './lib/world.mjs';

const STATE = 'tasks.dispatcher-state';

test('topics are made once, and only what was made is told', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'state_topic', { topics: { 'tasks.events': 4 } });
    const created = (program) => program.text().match(/topic created/g)?.length ?? 0;
    const first = await world.dispatcher({ name: 'first' });
    const made = (await world.broker.topics()).filter((name) => name !== 'tasks.events' && !name.startsWith('__'));
    assert.ok(made.includes(STATE));
    assert.equal(created(first), made.length);
    await first.stop();

    const second = await world.dispatcher({ name: 'second' });
    assert.equal(created(second), 0, second.tail());

    const { resources } = await world.broker.admin((admin) => admin.describeConfigs({
        includeSynonyms: false, resources: [{ type: 2, name: STATE }], // 2: a topic
    }));
    const settings = Object.fromEntries(resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue]));
    assert.equal(settings['cleanup.policy'], 'compact');
    assert.equal(settings['segment.bytes'], '16777216');
    assert.equal(settings['segment.ms'], '600000');
    assert.equal(settings['min.cleanable.dirty.ratio'], '0.1');
    assert.equal(settings['max.compaction.lag.ms'], '1800000');
    assert.equal(settings['delete.retention.ms'], '600000');
});
