/* The dispatcher's own topics: what is made once, and with which settings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOW } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

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

/* Whatever somebody writes to the topics that a dispatcher reads: counted, told, left alone or a dead letter; never the end. */
test('odd records on its topics end no dispatcher', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'odd_records', { topics: { 'tasks.events': 1 } });
    const bytes = (size) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 37) % 256));
    const odd = [
        { key: null, value: null }, { key: '', value: '' }, { key: bytes(256), value: null }, { key: bytes(70000), value: bytes(16) },
        { key: Buffer.alloc(13), value: bytes(24) }, { key: bytes(13), value: Buffer.alloc(0) }, { key: 'E', value: bytes(700000) },
        { key: Buffer.concat([Buffer.from('E'), Buffer.alloc(12, 255)]), value: Buffer.alloc(24, 255) },
        { key: 'k', value: '{}', headers: { '': '', 'content-type': bytes(300), ce_type: Buffer.alloc(0), traceparent: bytes(5) } },
        { key: 'k', value: bytes(100), headers: { 'dead-letter-topic': bytes(300), 'dead-letter-partition': '99999999999999999999', 'dead-letter-offset': '-' } },
        { key: 'k', value: 'x', headers: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`h${i}`, `${i}`])) },
    ];
    const first = await world.dispatcher({ name: 'first' });
    const backend = await world.backend();
    await backend.events([taskEvent({ taskId: 'task-1', n: 1 })]);
    await eventually(async () => await world.metric(first, 'smartstack_dispatcher_records_total') === 1);
    await first.stop();
    for (const topic of [STATE, 'tasks.events', 'tasks.dead-letter'])
        await backend.records(odd.filter(({ key }) => topic !== STATE || key?.length), topic); // a compacted topic takes none without a key

    const second = await world.dispatcher({ name: 'second' });
    await eventually(async () => await world.metric(second, 'smartstack_dispatcher_records_total') >= odd.length,
        { timeout: 20000 * SLOW, what: () => `${odd.length} records\n${second.tail()}` });
    assert.ok(await world.metric(second, 'smartstack_dispatcher_state_malformed_total') >= 5);
    assert.match(second.text(), /state has records that are none, they are left alone/);
    assert.equal(await world.metric(second, 'smartstack_dispatcher_events_remembered'), 1, 'what was seen is still known');
    await backend.events([taskEvent({ taskId: 'task-1', n: 1 })]);
    await eventually(async () => await world.metric(second, 'smartstack_dispatcher_duplicates_total') === 1,
        { timeout: 20000 * SLOW, what: () => `a duplicate\n${second.tail()}` });
});
