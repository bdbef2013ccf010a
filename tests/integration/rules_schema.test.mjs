/* The JSON Schema for editors and --check-rules say the same of every document: each key of a good one is given values of
 * every kind, and patterns are tried on their own. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { World } from './lib/world.mjs';

const GOOD = {
    version: 1,
    description: 'what it is for',
    rules: [{
        name: 'first',
        description: 'the first',
        enabled: true,
        when: { event: ['task.completed'] },
        rooms: ['task:{taskId}'],
        notify: [
            { type: 'notification', rooms: ['user:{userId}'], title: '{type|a task}', body: 'b', severity: 'info' },
            { type: 'task.status', rooms: ['tenant:{tenantId}'], state: '{taskId}' },
            { rooms: ['tenant:{tenantId}'], state: { item: '{taskId}', remove: true, order: '{seq}', late: 'mark' } },
            { type: 'custom', rooms: ['user:{data.watchers}'], event: 'order.{data.state}', data: { a: ['{data.n}', 1], b: { c: 'x {y|z}' } } },
        ],
        review: { queue: '{data.team}', reason: 'r', priority: 'high', title: 't', body: 'b', due: '4h', state: 'review:{taskId}', decisions: ['approve', 'edit-2'], self: false },
        sample: { rate: '5%', by: '{taskId}' },
        stop: false,
        shadow: false,
        missing: 'skip',
        tests: [{ name: 'one', given: { event: 'x' }, expect: [] }],
    }],
};
const VALUES = [
    null, true, false, 0, 1, -1, 0.5, 1.5, '', 'x', '5%', '100%', '200%', '4h', 'soon', '{data.minutes}m', 'a {b', 'a } b', '{{x}}', '{}', '{a|}',
    'task:{taskId}', 'Task:1', 'task:', 'notification', 'review.alert', 'review.updated', 'review.refused', 'skip-rule', [], ['x'], ['task:1'], ['task:{a', 'task:1'], [5],
    [{ type: 'notification', rooms: ['task:1'] }], [{ rooms: ['task:1'], title: 't' }], {}, { a: 1 }, { a: ['x'] }, { rate: 0.5 }, { rate: 2 },
    { queue: 'legal' }, { rooms: ['task:1'] }, { type: 'notification', rooms: ['task:1'], title: 5 },
    'disconnect', 'new message', 'a "b"', 'a\nb', [[[{}]]], { a: '{b' }, { type: 'custom', rooms: ['task:1'], event: 'a' }, { type: 'custom', rooms: ['task:1'] },
    ['{x}'], Array(17).fill('yes'), ['A'], ['x'.repeat(65)], '{room}', ['{room}'], ['{room|x}', '{a}{b}'],
    { item: '{taskId}' }, { remove: true }, { item: '', remove: false }, { item: '{taskId}', remove: 'yes' }, 'drop', 'mark', '{time|x}{{',
    { item: '{taskId}', order: '{seq}' }, { item: '{taskId}', order: '{{seq}}' }, { item: '{taskId}', late: 'drop' }, { item: '{taskId}', order: 'x {seq', late: 'mark' },
    { type: 'custom', rooms: ['task:1'], event: 'a', state: { item: '{taskId}', order: '{seq}', late: 'mark' } },
    { type: 'custom', rooms: ['task:1'], event: 'a', state: { item: '{taskId}', order: '{seq}', late: 'drop' } },
];
const MATCHERS = [
    'x', 5, true, null, [], {}, ['x'], { prefix: 'a' }, { prefix: 5 }, { prefix: ['a'] }, { prefix: { 'equals-ignore-case': 'a' } }, { prefix: { suffix: 'a' } },
    { suffix: 'a' }, { exactly: 'a' }, { exactly: 5 }, { wildcard: 'a*b' }, { wildcard: 'a**' }, { wildcard: 'a\\*' }, { wildcard: 'a\\' }, { wildcard: '\\x' },
    { numeric: ['<', 5] }, { numeric: ['=', 5] }, { numeric: ['>', 1, '<=', 5] }, { numeric: ['<', 5, '>', 1] }, { numeric: ['!=', 5] }, { numeric: [] },
    { numeric: ['<'] }, { numeric: ['<', '5'] }, { numeric: ['=', 5, '<', 6] }, { exists: true }, { exists: 'yes' }, { cidr: '10.0.0.0/8' }, { cidr: 'x/8' }, { cidr: '10.0.0.0' },
    { 'anything-but': 'a' }, { 'anything-but': 5 }, { 'anything-but': null }, { 'anything-but': [] }, { 'anything-but': ['a', 'b'] }, { 'anything-but': ['a', 1] },
    { 'anything-but': [1, 2] }, { 'anything-but': { prefix: 'a' } }, { 'anything-but': { prefix: '' } }, { 'anything-but': { prefix: ['a', 'b'] } },
    { 'anything-but': { wildcard: 'a*' } }, { 'anything-but': { numeric: ['<', 5] } }, { 'anything-but': {} }, { 'equals-ignore-case': 'a' }, { prefx: 'a' },
    { prefix: 'a', suffix: 'b' }, { PREFIX: 'a' },
];

/* Every place in a document: the path to each key and each element. */
function* places(value, way = []) {
    for (const key of Object.keys(value ?? {}).filter(() => typeof value === 'object')) {
        yield [...way, key];
        yield* places(value[key], [...way, key]);
    }
}

function changed(way, value) {
    const document = structuredClone(GOOD);
    const parent = way.slice(0, -1).reduce((at, key) => at[key], document);
    if (value === undefined)
        delete parent[way.at(-1)];
    else
        parent[way.at(-1)] = value;
    return document;
}

function* documents() {
    yield GOOD;
    for (const way of places(GOOD)) {
        if (way.includes('when') && way.at(-1) !== 'when')
            continue; // tried on their own below
        if (!/^\d+$/.test(way.at(-1)))
            yield changed(way, undefined);
        yield changed([...way.slice(0, -1), 'unknown'], 1);
        for (const value of VALUES)
            yield changed(way, value);
    }
    const when = (pattern) => changed(['rules', 0, 'when'], pattern);
    for (const matcher of MATCHERS) {
        yield when({ a: [matcher] });
        yield when({ a: { b: ['x', matcher] } });
        yield when({ $or: [{ a: [matcher] }, { b: ['x'] }] });
        yield when({ a: matcher });
    }
    for (const pattern of [{ $or: [] }, { $or: [{ a: ['x'] }] }, { $or: 5 }, { $or: [{ a: ['x'] }, {}] }, { $or: [{ a: ['x'] }, { prefix: ['x'] }] },
        { $or: [{ a: ['x'] }, { b: { cidr: ['x'] } }] }, { prefix: ['x'] }, { a: { $or: [{ b: [1] }, { c: [2] }] } }, { $or: [{ $or: [{ a: [1] }, { b: [1] }] }, { c: [1] }] }])
        yield when(pattern);
}

test('the schema and the checker agree', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'rules_schema', { broker: 'none' });
    const schema = JSON.parse(fs.readFileSync('dispatcher/rules/rules.schema.json', 'utf8'));
    const valid = new Ajv2020({ strict: false }).compile(schema);
    const all = [...documents()];
    const files = all.map((document, i) => {
        const file = path.join(world.data, `${i}.json`);
        fs.writeFileSync(file, JSON.stringify(document));
        return file;
    });
    const program = world.program('check', PROGRAMS.dispatcher, ['--check-rules', ...files]).start();
    program.foreign = true;
    await program.waitEnd(200000 * SLOW);
    const said = new Map(files.map((file) => [file, []])); // FILE: what of it, or FILE:PLACE: error
    for (const line of program.text().split('\n'))
        said.get(line.slice(0, line.indexOf(':')))?.push(line);
    const differ = all.filter((document, i) => {
        const lines = said.get(files[i]);
        if (lines.some((line) => /may not enter a topic name|notifications instead of|shadow names no rule/.test(line)))
            return false; // of the layout, of another rule, or a test in the document that fails: a schema can know none of them
        return lines.some((line) => line.startsWith(`${files[i]}: `) && line.includes(' rules, ')) !== valid(document);
    });
    assert.ok(all.length > 1000, `${all.length} documents`);
    const told = differ.slice(0, 20).map((document) => {
        const lines = said.get(files[all.indexOf(document)]);
        return `${JSON.stringify(document)}\n  schema: ${valid(document) ? 'good' : 'bad'}, checker: ${lines.join('; ')}`;
    });
    assert.equal(differ.length, 0, `${differ.length} of ${all.length} differ\n${told.join('\n')}`);
});
