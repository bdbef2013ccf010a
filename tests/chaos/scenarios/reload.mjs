/* The rules change again and again, every second time to a file that is wrong, while events pass: each event is judged by
 * one whole rule set, and none is lost. */
import fs from 'node:fs';
import { decodeNotification } from '../../integration/lib/backend.mjs';
import { Stream } from '../../integration/lib/stream.mjs';
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';

export const description = 'reloads under load, half of them with broken files: every event judged once, by a whole rule set';
export const faults = 100;
export const options = {
    events: { default: 50000, help: 'task events' },
    pause: { default: 0.3, help: 'seconds between reloads' },
};

const PARTS = 20;

/* A set in which all rules match every event, each naming its number and the set's: a notification names them all, or the set
 * was not whole. */
function rulesOf(set) {
    const rules = Array.from({ length: PARTS }, (_, i) => `  - name: set-${set}-${i}
    when: {"event": [{"prefix": "task."}]}
    notify: {type: task.status, rooms: ["task:{taskId}"]}`);
    return `rules:\n${rules.join('\n')}\n`;
}

const BROKEN = [
    (text) => text.slice(0, text.length / 2) + '\n  - {',
    (text) => text.replace('prefix', 'praefix'),
    (text) => text.replace('"task."', '42'),
    () => '',
    () => 'rules: [{name: a}, {name: a}]',
];

/* Replaced by renaming, as an editor or a ConfigMap does; SIGHUP every other time, noticed by itself otherwise. */
function replaceRules(world, text) {
    fs.writeFileSync(`${world.rulesFile}.new`, text);
    fs.renameSync(`${world.rulesFile}.new`, world.rulesFile);
}

function isWhole(names) {
    const set = names[0]?.split('-')[1];
    return names.length === PARTS && names.every((name, i) => name === `set-${set}-${i}`);
}

export async function run({ random, report, faults: reloads, values }) {
    const count = Number(values.events);
    const duration_ms = reloads * Number(values.pause) * 1000;
    await World.use('chaos-reload', { rules: rulesOf(0) }, async (world) => {
        const dispatcher = await world.dispatcher({ settings: { dispatcher: { rules_check: '200ms' } } });
        const producing = awaitedLater(produce(world, count, duration_ms));
        for (let i = 1; i <= reloads; i++) {
            const broken = i % 2 === 0;
            const text = broken ? BROKEN[random.integer(0, BROKEN.length)](rulesOf(i)) : rulesOf(i);
            replaceRules(world, text);
            if (random.fraction() < 0.5)
                dispatcher.signal('SIGHUP');
            const metric = 'smartstack_dispatcher_rules_reloads_total';
            await eventually(async () => (await world.metric(dispatcher, metric)) >= i, { timeout: 20000, what: () => `reload ${i}\n${dispatcher.tail()}` });
            await sleep(random.between(0, 100));
        }
        await producing;
        await eventually(async () => (await world.broker.ends('tasks.events')).length > 0 && (await world.metric(dispatcher, 'smartstack_dispatcher_lag')) === 0,
            { timeout: 120000, interval: 500, what: () => `no lag\n${dispatcher.tail()}` });
        await sleep(2000);
        const seen = new Map();
        const revisions = new Map();
        let partly = 0;
        let mixed = 0;
        for (const { value } of await world.broker.read('fanout.tenant')) {
            const { eventId, rules, rulesRevision } = decodeNotification(value);
            seen.set(eventId, (seen.get(eventId) ?? 0) + 1);
            partly += isWhole(rules) ? 0 : 1;
            mixed += (revisions.get(rulesRevision) ?? rules[0]) === rules[0] ? 0 : 1;
            revisions.set(rulesRevision, rules[0]);
        }
        report.say(`${seen.size} events led to notifications, by ${revisions.size} rule sets`);
        report.check('every event was judged', seen.size === count, `${count - seen.size} were not`);
        report.check('once', [...seen.values()].every((times) => times === 1));
        report.check('by a whole rule set', partly === 0, `${partly} by a part of one`);
        report.check('a revision is one rule set', mixed === 0, String(mixed));
        report.check('many sets were used', revisions.size > reloads / 4, String(revisions.size));
        report.check('no dead letters', (await world.broker.read('tasks.dead-letter')).length === 0);
    });
}

async function produce(world, count, duration_ms) {
    const stream = new Stream(world.broker);
    const started = performance.now();
    for (let n = 0; n < count;) {
        const due = Math.min(count, Math.ceil(((performance.now() - started + 20) / duration_ms) * count));
        const batch = [];
        for (; n < due; n++)
            batch.push({ id: `event-${n}`, event: 'task.progress', time: '2026-03-02T08:01:56.419Z', tenantId: `tenant-${n % 7}`,
                taskId: `task-${n % 500}`, type: 'extraction', data: { n } });
        await stream.write(batch);
        await sleep(20);
    }
    await stream.close();
}
