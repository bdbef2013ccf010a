/* Several dispatchers share the work while they are killed and stopped and the broker restarts: what they commit is
 * what one undisturbed dispatcher makes of the same input. */
import { decodeNotification } from '../../integration/lib/backend.mjs';
import { SLOW } from '../../integration/lib/places.mjs';
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { RULES, TOPICS, World } from '../../integration/lib/world.mjs';
import { freeze, inflict, killAndRestart, restartBroker } from '../lib/faults.mjs';
import { Stream } from '../../integration/lib/stream.mjs';

export const description = 'N dispatchers, killed and stopped, the broker restarted: the same as one undisturbed run';
export const faults = 50;
export const options = {
    events: { default: 200000, help: 'task events' },
    dispatchers: { default: 3, help: 'dispatchers in the group' },
    partitions: { default: 12, help: 'partitions of the input topic' },
    pause: { default: 2, help: 'seconds between faults, on average' },
};

const KINDS = { 'kill -9': 5, stop: 4, 'broker restart': 1 };
const REFERENCE = 'reference.tenant';
const LIVE = 'fanout.tenant';

/* What the n-th event is, decided by the seed: 500 tasks, one event in ten alerts reviewers. */
function eventOf(random, n, counters) {
    const task = random.integer(0, 500);
    counters[task] = (counters[task] ?? 0) + 1;
    const completed = random.fraction() < 0.1;
    return {
        id: `event-${n}`, event: completed ? 'task.completed' : 'task.progress', time: '2026-03-02T08:01:56.419Z',
        tenantId: `tenant-${task % 7}`, userId: `usr_${task % 50}`, taskId: `task-${task}`, type: 'extraction',
        data: completed ? { n: counters[task], confidence: 0.5 } : { n: counters[task] },
    };
}

/* Where a committed record stands, and since when. */
function placeOf(topic, { partition, offset, timestamp }) {
    return `${topic}-${partition}@${offset} since ${new Date(timestamp).toISOString().slice(11)}`;
}

/* Committed notifications by lane key and task: the sequence of what they say, and where. */
async function sequences(world, topics) {
    const lists = new Map();
    const places = new Map();
    let count = 0;
    for (const topic of topics) {
        for (const record of await world.broker.read(topic)) {
            const { id: _, ...notification } = decodeNotification(record.value);
            const content = notification.taskStatus ?? notification.reviewAlert;
            const name = `${notification.taskStatus ? 'status' : 'review'} ${record.key} ${content.taskId}`;
            const text = JSON.stringify(notification);
            if (!lists.has(name))
                lists.set(name, []);
            lists.get(name).push(text);
            places.set(text, [...places.get(text) ?? [], placeOf(topic, record)]);
            count++;
        }
    }
    return { lists, places, count };
}

/* What is in the second list only, by how often it is there. */
function surplus(first, second) {
    const counts = new Map();
    first.forEach((text) => counts.set(text, (counts.get(text) ?? 0) + 1));
    return second.filter((text) => {
        const left = counts.get(text) ?? 0;
        counts.set(text, left - 1);
        return left <= 0;
    });
}

function compare(report, expected, actual) {
    const missing = [];
    const more = [];
    let unordered = 0;
    for (const name of new Set([...expected.lists.keys(), ...actual.lists.keys()])) {
        const wanted = expected.lists.get(name) ?? [];
        const got = actual.lists.get(name) ?? [];
        missing.push(...surplus(got, wanted));
        more.push(...surplus(wanted, got));
        const common = new Set(wanted.filter((text) => got.includes(text)));
        const order = (list) => [...new Set(list)].filter((text) => common.has(text));
        if (order(got).some((text, i) => text !== order(wanted)[i]))
            unordered++;
    }
    const tell = (list, side) => list.slice(0, 20).forEach((text) => report.say(`${text.slice(0, 60)}… stands at ${(side.places.get(text) ?? []).join(' and ')}`));
    tell(missing, expected);
    tell(more, actual);
    const doubled = more.filter((text) => expected.places.has(text)).length;
    report.check('no notification is missing', missing.length === 0, `${missing.length} of ${expected.count}`);
    report.check('none is doubled', doubled === 0, `${doubled} of ${actual.count}`);
    report.check('none is unknown to the undisturbed run', more.length === doubled, String(more.length - doubled));
    report.check('the order of each task is kept', unordered === 0, `${unordered} tasks of ${expected.lists.size} out of order`);
}

export async function run({ random, report, faults: count, values }) {
    const events = Number(values.events);
    const pause_ms = Number(values.pause) * 1000;
    await World.use('chaos-dispatcher', {
        topics: { ...TOPICS, 'tasks.events': Number(values.partitions), [REFERENCE]: 8, 'reference.dead': 1, 'reference.review': 1 }, rules: RULES,
    }, async (world) => {
        const dispatchers = [];
        for (let i = 0; i < Number(values.dispatchers); i++)
            dispatchers.push(await world.dispatcher({ name: `dispatcher-${i}` }));

        let over = false;
        const producing = awaitedLater(produce(world, random.fork(), events, count * pause_ms, report));
        const busy = new Set();
        await inflict({ random, count, pause_ms: [0.2 * pause_ms, 1.8 * pause_ms] }, befall);
        over = true;
        await producing;
        report.say(`${events} events are produced`);

        /* All chance is drawn before anything is done: what is busy at the moment does not change what comes later. */
        async function befall() {
            const kind = random.weighted(KINDS);
            const index = random.integer(0, dispatchers.length);
            const delay_ms = random.between(0, 2000);
            const stop_ms = random.between(1000, 10000);
            const hard = random.fraction() < 0.5;
            const victim = kind === 'broker restart' ? 'the broker' : dispatchers[index].name;
            if (busy.has(victim)) {
                report.say(`no ${kind}: something befalls ${victim} already`);
                return;
            }
            busy.add(victim);
            if (kind === 'broker restart') {
                report.fault(kind, hard ? '-9' : 'in good order');
                await restartBroker(world.broker, { hard, delay_ms });
            } else if (kind === 'stop') {
                report.fault(kind, `${victim} for ${(stop_ms / 1000).toFixed(1)} s`);
                await freeze(dispatchers[index], stop_ms);
            } else {
                report.fault(kind, victim);
                await killAndRestart(dispatchers[index], delay_ms);
            }
            busy.delete(victim);
        }

        const untilQuiet = async (topic) => {
            let last = -1;
            let quiet = 0;
            await eventually(async () => {
                const sum = (await world.broker.ends(topic)).reduce((a, b) => a + b, 0);
                quiet = sum === last ? quiet + 1 : 0;
                last = sum;
                return quiet >= 15;
            }, { timeout: 300000, interval: 1000, what: `${topic} to be quiet` });
        };
        await untilQuiet(LIVE);
        report.check('every dispatcher is alive and over', over && dispatchers.every(({ alive }) => alive));
        for (const dispatcher of dispatchers)
            report.check(`${dispatcher.name} ends with code 0`, (await dispatcher.stop(15000 * SLOW)).code === 0);

        report.say('the undisturbed run over the same input');
        const rooms = { topic: REFERENCE, key: '{tenant}' };
        await world.dispatcher({
            name: 'reference',
            settings: {
                dispatcher: { group: 'reference', dead_letter_topic: 'reference.dead' },
                rooms: { tenant: rooms, project: rooms, user: rooms, task: rooms, review: { topic: 'reference.review', key: '{tenant}', partitions: 1 } },
            },
        });
        await untilQuiet(REFERENCE);
        const expected = await sequences(world, [REFERENCE, 'reference.review']);
        const actual = await sequences(world, [LIVE, 'fanout.review.legal']);
        report.say(`${expected.count} notifications expected, ${actual.count} committed`);
        report.check('the undisturbed run made a notification of each event', expected.count >= events, String(expected.count));
        compare(report, expected, actual);
    });
}

/* Paced so that the faults fall into it. */
async function produce(world, random, events, duration_ms, report) {
    const stream = new Stream(world.broker);
    const counters = [];
    const step_ms = 20;
    const started = performance.now();
    let n = 0;
    while (n < events) {
        const due = Math.min(events, Math.ceil(((performance.now() - started + step_ms) / duration_ms) * events));
        const batch = [];
        for (; n < due; n++)
            batch.push(eventOf(random, n, counters));
        if (batch.length)
            await stream.write(batch);
        await sleep(step_ms);
    }
    await stream.close();
    report.say(`the last event is acknowledged after ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
