/* Dead letters: listed, sent again as far as they are meant, and not for ever. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { World } from './lib/world.mjs';

const rules = (missing) => `rules:
  - name: needs-owner
    when: {"event": ["task.created"]}
    missing: ${missing}
    rooms: ["user:{data.owner|}{data.lead}"]
`;

/* Runs the dispatcher with these arguments; returns the JSON lines that it wrote. */
async function letters(world, config, ...args) {
    const program = world.program(`letters-${world.programs.length}`, PROGRAMS.dispatcher, ['--config', config, ...args]).start();
    const { code } = await program.waitEnd(60000 * SLOW);
    assert.equal(code, 0, program.tail());
    return program.text().split('\n').filter((line) => line.startsWith('{"letter"')).map((line) => JSON.parse(line));
}

test('letters are listed by what they say, and sent again as far as they are meant', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'dead_letters', { rules: rules('dead-letter') });
    const config = world.writeConfiguration('letters', {}, { dispatcher: { slot: 'letters', redrive: { attempts: 2 } } });
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    const dead = async () => (await world.broker.read('tasks.dead-letter')).length;
    const event = (id) => ({ key: `key-${id}`, value: JSON.stringify({ id, event: 'task.created', tenantId: 'acme' }) });
    await backend.records([event('a'), event('b'), { key: 'key-x', value: 'no JSON' }, { key: 'key-t', value: null }]);
    await eventually(async () => await dead() === 3, { timeout: 60000 * SLOW, what: () => `three letters\n${dispatcher.tail()}` });
    assert.equal(await world.metric(dispatcher, 'smartstack_dispatcher_tombstones_total'), 1);

    const all = await letters(world, config, '--dead-letters');
    assert.equal(all.length, 3);
    const missing = await letters(world, config, '--dead-letters', '--reason', 'field-missing', '--rule', 'needs-owner', '--from', '-1h');
    assert.deepEqual(missing.map(({ key, rule, topic }) => [key, rule, topic]).sort(),
        [['key-a', 'needs-owner', 'tasks.events'], ['key-b', 'needs-owner', 'tasks.events']]);
    assert.deepEqual(await letters(world, config, '--dead-letters', '--to', '2020-01-01T00:00:00Z'), []);
    const [whole] = await letters(world, config, '--dead-letters', '--whole', '--key', 'key-x');
    assert.equal(whole.value, 'no JSON');
    assert.equal((await letters(world, config, '--redrive', '--dry', '--reason', 'field-missing')).length, 2);
    assert.equal(await dead(), 3, 'looking changes nothing');

    /* Under rules that take them, those that are meant go through; the other stays pending. A rule in shadow, there from now on,
     * tells what it would do otherwise. */
    const changed = `${rules('skip')}  - {name: tenant-instead, shadow: needs-owner, when: {event: [task.created]}, rooms: ["tenant:{tenantId}"]}\n`;
    fs.writeFileSync(world.rulesFile, changed);
    await eventually(async () => await world.metric(dispatcher, 'smartstack_dispatcher_rules_reloads_total') > 0,
        { timeout: 30000 * SLOW, what: 'new rules' });
    await letters(world, config, '--redrive', '--reason', 'field-missing', '--key', 'key-a');
    await eventually(async () => await world.metric(dispatcher, 'smartstack_dispatcher_shadow_changed_total') === 1,
        { timeout: 30000 * SLOW, what: () => `a rule in shadow that differs\n${dispatcher.tail()}` });
    assert.equal(await world.metric(dispatcher, 'smartstack_dispatcher_shadow_rules'), 1);
    assert.match(dispatcher.text(), /rule in shadow differs.*tenant-instead.*changed/);
    assert.deepEqual(await world.broker.read('fanout.tenant'), [], 'nothing comes of it');
    const pending = await letters(world, config, '--dead-letters');
    assert.deepEqual(pending.map(({ key }) => key).sort(), ['key-b', 'key-x']);
    assert.equal(pending.find(({ key }) => key === 'key-b').time, all.find(({ key }) => key === 'key-b').time, 'the time stays');

    /* What comes back is counted, and at last left alone. */
    for (const attempts of [1, 2]) {
        await letters(world, config, '--redrive', '--reason', 'malformed');
        await eventually(async () => (await letters(world, config, '--dead-letters', '--key', 'key-x'))[0]?.attempts === attempts,
            { timeout: 60000 * SLOW, interval: 500, what: () => `attempt ${attempts}\n${dispatcher.tail()}` });
    }
    const before = await dead();
    assert.deepEqual(await letters(world, config, '--redrive', '--dry', '--reason', 'malformed'), []);
    await letters(world, config, '--redrive', '--reason', 'malformed');
    const [hopeless] = await letters(world, config, '--dead-letters', '--key', 'key-x');
    assert.equal(hopeless.attempts, 2);
    assert.ok(await dead() > before, 'it was put behind the others and not sent');
    assert.ok((await letters(world, config, '--dead-letters', '--all')).length > 3);
});
