/* Every limit that the tables of dispatcher/LIMITS.md name, filled from outside to the limit and beyond, one after the other on
 * one dispatcher: it lives, what is honest passes, its memory is bounded, and the metric of the row has moved. A row without a
 * trial here, or a reason, fails.
 *
 *   node tests/hostile/dispatcher_limits.test.mjs [--slow]     --slow: also what takes more than a minute */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import { decodeNotification, FORMS } from '../integration/lib/backend.mjs';
import { SLOW, SOURCE_DIR } from '../integration/lib/places.mjs';
import { eventually } from '../integration/lib/wait.mjs';
import { taskEvent, World } from '../integration/lib/world.mjs';
import { status } from './lib/attack.mjs';

const { values } = parseArgs({ options: { slow: { type: 'boolean' } } });
const PATIENCE = 30000 * SLOW;
/* What the release build may need above what it has at rest, whatever is tried. */
const MEMORY_MOST_KB = 64 * 1024;
const PREFIX = 'smartstack_dispatcher_';

const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));

/* Rows of the tables: {what, cell}; the last cell names metrics. */
const rows = fs.readFileSync(path.join(SOURCE_DIR, 'dispatcher/LIMITS.md'), 'utf8').split(/^## /m)
    .filter((part) => /^(What grows|Limits of rules)/.test(part))
    .flatMap((part) => part.split('\n').filter((line) => line.startsWith('|')).slice(2))
    .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()))
    .map((cells) => ({ what: cells[0], metrics: [...cells.at(-1).matchAll(/`([a-z_]+)/g)].map((match) => match[1]) }));

const RULES = `rules:
  - name: route
    when: {"event": [{"prefix": "task."}]}
    notify: {type: task.status, rooms: ["task:{taskId}"]}
  - name: wide
    when: {"event": ["task.wide"]}
    notify: {type: task.status, rooms: ["task:1", "task:2", "task:3", "task:4", "task:5"]}
  - name: lists
    when: {"event": ["task.list"]}
    notify: {type: custom, event: listed, rooms: ["user:{data.watchers}"]}
  - name: values
    when: {"event": ["task.values"], "data": {"items": ["z"]}}
    notify: {type: task.status, rooms: ["task:{taskId}"]}
  - name: steps
    when: {"event": ["task.steps"], "data": {"text": [{"wildcard": "*a*a*a*b"}]}}
    notify: {type: task.status, rooms: ["task:{taskId}"]}
  - name: gaps
    when: {"event": ["task.gaps"]}
    notify: {type: task.status, rooms: ["user:{data.nobody}"]}
  - name: items
    when: {"event": ["task.item"]}
    notify: {type: task.status, rooms: ["task:{taskId}"], state: "{data.item}"}
  - name: ordered
    when: {"event": ["task.ordered"]}
    notify: {type: task.status, rooms: ["task:{taskId}"], state: {item: "{data.item}", order: "{data.seq}"}}
  - name: tried
    shadow: true
    when: {"event": ["task.shadow"], "data": {"numbers": [1]}}
    notify: {type: task.status, rooms: ["task:{taskId}"]}
  - name: doubt
    when: {"event": ["task.doubt"]}
    review: {queue: legal, reason: "{data.why}"}
`;

const SETTINGS = {
    kafka: { producer: { 'queue.buffering.max.messages': 20 } },
    dispatcher: {
        rules_check: '100ms',
        batch: { events: 5, bytes: '8KiB' },
        dedupe: { events: 5 },
        order: { items: 5 },
        review: { tasks: 2, per_task: 2 },
        limits: { event_size: '16KiB', notification_size: '4KiB', events_per_record: 3, rooms_per_event: 4, rooms_per_list: 6, values: 100, steps: 5000, hops: 2 },
    },
};

let n = 0;
const event = (more) => taskEvent({ taskId: 'limits', n: ++n, ...more });
const value = (object) => ({ key: 'limits', value: JSON.stringify(object) });
const REFUSED = 'rules_reloads_total{outcome="bad"}';
const letter = (reason) => `dead_letters_total{reason="${reason}"}`;

/* What is tried: `records`, or what try() does; which metrics move (beside the row's own counters). */
const trials = {
    'open reviews of a task': { // first: another trial fills the table of tasks
        try: async ({ world, backend, metric }) => {
            const reviews = () => many(8, (i) => value(event({ event: 'task.doubt', data: { why: `reason ${i}` } })));
            await backend.records(reviews());
            await eventually(async () => await metric('reviews_unremembered_total') === 6, { timeout: PATIENCE, what: 'six beyond the limit' });
            await backend.records(reviews());
            await eventually(async () => await metric('reviews_unremembered_total') === 12, { timeout: PATIENCE, what: 'six again' });
            assert.equal(await metric('reviews_already_open_total'), 2);
            await backend.records([value(event({ event: 'review.completed' }))]);
            await eventually(async () => await metric('open_review_tasks') === 0, { timeout: PATIENCE, what: 'their end' });
        },
    },
    'records of a batch': { records: () => many(300, () => value(event())), metrics: ['batch_records_count'] },
    "bytes of a batch's records": {
        try: async ({ backend, metric }) => {
            await backend.records(many(60, () => value(event({ data: { text: 'x'.repeat(3500) } }))));
            await eventually(async () => await metric('batch_bytes_sum') > 60 * 3500, { timeout: PATIENCE, what: 'the records' });
            assert.ok(await metric('batch_bytes_bucket{le="4096"}') < await metric('batch_bytes_count'), 'several went together');
            /* Two looks, between which a batch may end: they are equal once all have. */
            await eventually(async () => await metric('batch_bytes_bucket{le="16384"}') === await metric('batch_bytes_count'),
                { timeout: PATIENCE, what: 'never more than 8 KiB and one record' });
        },
    },
    'values and steps of the rules in shadow, together': {
        records: () => [value(event({ event: 'task.shadow', data: { numbers: many(200, (i) => i) } }))], metrics: ['notifications_total'],
    },
    'outputs on their way to the broker': { records: () => many(300, () => value(event())), metrics: ['notifications_total'] },
    'events remembered, of each partition': { records: () => many(100, () => value(event())), metrics: ['notifications_total'], most: { events_remembered: 4 * 5 } },
    'items whose order is remembered, of each partition': {
        records: () => many(100, (i) => value(event({ event: 'task.ordered', data: { item: `item-${i}`, seq: i } }))), most: { item_orders_remembered: 4 * 5 },
    },
    'tasks under review, of each partition': {
        records: () => many(40, (i) => ({ key: `task-${i}`, value: JSON.stringify(event({ event: 'task.doubt', taskId: `task-${i}`, data: { why: 'x' } })) })),
        metrics: ['reviews_unremembered_total'], most: { open_review_tasks: 4 * 2 },
    },
    'records that become dead letters when they are read again': {
        slow: true, // a second each
        /* More than the topic of notifications takes, less than the limits. */
        try: async ({ world, backend }) => {
            const limit = (bytes) => world.broker.admin((admin) => admin.alterConfigs({
                validateOnly: false, resources: [{ type: 2, name: 'fanout.tenant', configEntries: [{ name: 'max.message.bytes', value: String(bytes) }] }],
            }));
            await limit(2500);
            const text = () => many(3000, () => String.fromCharCode(97 + Math.floor(Math.random() * 26))).join('');
            await backend.records(many(70, () => value(event({ data: { text: text() } }))));
            await eventually(async () => await world.metric(world.limited, `${PREFIX}dead_letters_total`) >= 70, { timeout: 2 * PATIENCE, what: 'the letters' });
            await limit(1048588);
        },
    },
    'bytes of an event': { records: () => [value(event({ data: { text: 'x'.repeat(20000) } }))], metrics: [letter('too-large')] },
    'events of a batch of CloudEvents': {
        records: () => [3, 4].map((count) => ({
            key: 'limits', headers: { 'content-type': 'application/cloudevents-batch+json' },
            value: JSON.stringify(many(count, () => JSON.parse(FORMS.cloudevent(event()).value))),
        })),
        metrics: [letter('limit')],
    },
    'values at paths that patterns name': { records: () => [value(event({ event: 'task.values', data: { items: many(200, String) } }))], metrics: [letter('limit')] },
    'steps of judging': { records: () => [value(event({ event: 'task.steps', data: { text: 'a'.repeat(10000) } }))], metrics: [letter('limit')] },
    'rooms of an event': { records: () => [value(event({ event: 'task.wide' }))], metrics: [letter('limit')] },
    'elements of a list of which a room template makes rooms': {
        records: () => [value(event({ event: 'task.list', data: { watchers: ['a', 'a', 'b', 'b', 'c', 'c'] } })), value(event({ event: 'task.list', data: { watchers: many(7, String) } }))],
        metrics: [letter('limit')],
    },
    'bytes of a notification': { records: () => [value(event({ data: { text: 'x'.repeat(6000) } }))], metrics: [letter('limit')] },
    'times through a dispatcher': { records: () => [{ ...value(event()), headers: { hops: '2' } }, { ...value(event()), headers: { hops: '999999999999' } }], metrics: [letter('loop')] },
    "bytes of an event's id": { records: () => [value({ ...event(), id: 'x'.repeat(513) })], metrics: [letter('limit')] },
    'open brackets of an event': { records: () => [{ key: 'limits', value: `{"event":"task.deep","data":${'['.repeat(101)}${']'.repeat(101)}}` }], metrics: [letter('limit')] },
    'rooms left out that are told of an event': { records: () => [value(event({ event: 'task.gaps', data: {} }))], metrics: ['rooms_skipped_total'] },
    "bytes of an item's key": { records: () => [value(event({ event: 'task.item', data: { item: 'x'.repeat(257) } }))], metrics: ['rooms_skipped_total{reason="no-item"}'] },
    'rules file': { rules: () => `rules:\n${many(20001, (i) => `  - {name: r${i}, when: {"event": ["e${i}"]}, rooms: ["task:x"]}\n`).join('')}`, metrics: [REFUSED] },
    pattern: { rules: () => `rules:\n  - {name: long, when: {"event": ["${'x'.repeat(300000)}"]}, rooms: ["task:x"]}\n`, metrics: [REFUSED] },
};

/* Limits that nobody can fill from outside in seconds: why, and what tries them instead. */
const EXCEPTIONS = {
    'records read ahead': "librdkafka's own",
    'topics known to be there': 'takes 100,000 topics',
    'lines of one place in the log': 'no line of the log stands for one record: log_test.c',
    'consumers being ended': 'takes a broker that stands still: read_stall.test.mjs',
    'tasks with living reviews, of each partition of their log': 'takes a log of reviews: reviews.test.mjs, beyond the limit',
    'records of the log of reviews in a row': 'nobody sees it from outside: what comes after so many is no later for it',
    'bytes of what a review is about, as JSON': 'takes a log of reviews: reviews_test.c, reviews.test.mjs',
    'bytes of a command about a review': 'takes a log of reviews: reviews_test.c, client_events_test.c',
    'timers of reviews that fire in a batch': 'takes a log of reviews: review_timers_test.c, review_timers.test.mjs',
    'times that a review is told to be late': 'takes a log of reviews: review_timers_test.c, review_timers.test.mjs',
    'reviews that a late review leads to, one by the other': 'takes a log of reviews: review_timers_test.c',
    "bytes of a timer's record": 'takes a log of reviews: review_timers_test.c',
    'decisions of a review': 'rule_set_test.c',
    'time of a command in its log': 'takes a log of reviews: reviews_test.c',
    'sending a dead letter again': 'takes a command, several times: dead_letters.test.mjs',
};

describe('limits of the dispatcher', { timeout: 600000 * SLOW }, () => {
    let world, dispatcher, backend;
    let honest = 0;

    const metric = async (name) => {
        const response = await fetch(`${dispatcher.operations}/metrics`);
        const series = (await response.text()).split('\n').filter((line) => /^[a-z]/.test(line) && line.replace(/^smartstack_(dispatcher_)?/, '').startsWith(name));
        return series.length ? series.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) : undefined;
    };

    /* What is honest comes out once, in order, behind whatever was tried. */
    const checkHonest = async () => {
        const last = honest + 3;
        await backend.records(many(3, () => FORMS.json(taskEvent({ taskId: 'honest', n: ++honest }))));
        const numbers = async () => (await world.broker.read('fanout.tenant')).map((record) => decodeNotification(record.value))
            .filter(({ taskId, taskStatus }) => (taskId ?? taskStatus?.taskId) === 'honest').map(({ taskStatus }) => JSON.parse(taskStatus.data).n);
        await eventually(async () => (await numbers()).length >= last, { timeout: PATIENCE, interval: 300, what: () => `${last} honest notifications\n${dispatcher.tail()}` });
        assert.deepEqual(await numbers(), many(last, (i) => i + 1));
    };

    before(async () => {
        world = await World.open(null, 'dispatcher_limits', { rules: RULES, settings: SETTINGS });
        dispatcher = world.limited = await world.dispatcher();
        backend = await world.backend();
        await checkHonest();
    });
    after(() => world?.close());

    it('have a trial each, or a reason', () => {
        assert.ok(rows.length >= 20, 'no tables were found');
        assert.deepEqual(rows.map(({ what }) => what).filter((what) => !trials[what] && !EXCEPTIONS[what]), [], 'nobody tries them');
        assert.deepEqual([...Object.keys(trials), ...Object.keys(EXCEPTIONS)].filter((name) => !rows.some(({ what }) => what === name)), [], 'no rows');
    });

    for (const [what, trial] of Object.entries(trials)) {
        it(what, { skip: trial.slow && !values.slow && 'slow' }, async () => {
            const own = rows.find((row) => row.what === what)?.metrics ?? [];
            const watched = [...new Set([...(trial.metrics ?? []), ...own.filter((name) => /_total$/.test(name))])];
            const start = Object.fromEntries(await Promise.all(watched.map(async (name) => [name, await metric(name) ?? 0])));
            const { memoryKb } = status(dispatcher.pid);
            if (trial.rules)
                fs.writeFileSync(world.rulesFile, trial.rules());
            if (trial.records)
                await backend.records(trial.records());
            await trial.try?.({ world, backend, metric });
            for (const name of watched)
                await eventually(async () => await metric(name) > start[name], { timeout: PATIENCE, what: () => `${name} beyond ${start[name]}\n${dispatcher.tail()}` });
            fs.writeFileSync(world.rulesFile, RULES);
            await checkHonest();
            assert.ok(dispatcher.alive, dispatcher.tail(40));
            for (const [name, most] of Object.entries(trial.most ?? {}))
                assert.ok(await metric(name) <= most, `${name}: ${await metric(name)} of at most ${most}`);
            if (SLOW === 1)
                assert.ok(status(dispatcher.pid).memoryKb - memoryKb < MEMORY_MOST_KB, `${memoryKb} kB before, ${status(dispatcher.pid).memoryKb} kB after`);
        });
    }
});
