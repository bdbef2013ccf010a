/* Reviews become due by the thousand while dispatchers are killed and stopped for longer than their session: each is told to be late
 * once, none before its time, and as soon as somebody is there. Read from the log afterwards. */
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { Stream } from '../../integration/lib/stream.mjs';
import { TOPICS, World } from '../../integration/lib/world.mjs';
import { freeze, inflict, killAndRestart } from '../lib/faults.mjs';

export const description = 'reviews become due by the thousand while dispatchers are killed and stopped: each is late once';
export const faults = 10;
export const options = {
    timers: { default: 100000, help: 'reviews that become due' },
    dispatchers: { default: 3, help: 'dispatchers of the group' },
    begin: { default: 60, help: 'seconds until the first is due' },
    span: { default: 120, help: 'seconds in which they become due, evenly' },
};

const KINDS = { 'kill -9': 3, stop: 1 };
const SESSION_MS = 10000; // of the group: so long nobody has what was somebody's who is stopped
const LATE_MS = 1000;
const RULES = `rules:
  - name: doubt
    when: {"event": ["task.completed"]}
    review: {queue: legal, reason: r, due: "{data.due}"}
`;

/* How much of the time from one to the other lay in any of these; they are in order of their beginnings. */
function within(windows, from, to) {
    let sum = 0, reached = from;
    for (const [begin, end] of windows) {
        const start = Math.max(begin, reached);
        if (start >= to)
            break;
        if (end > start) {
            sum += Math.min(end, to) - start;
            reached = Math.max(reached, end);
        }
    }
    return sum;
}

export async function run({ random, report, faults: count, values }) {
    const timers = Number(values.timers), begin_ms = 1000 * Number(values.begin), span_ms = 1000 * Number(values.span);
    await World.use('chaos-timers', {
        topics: { ...TOPICS, 'tasks.events': 8 }, rules: RULES, settings: { dispatcher: { review: { log: 'reviews.log', timers: true } } },
    }, async (world) => {
        const names = Array.from({ length: Number(values.dispatchers) }, (_, i) => `dispatcher-${i}`);
        const dispatchers = await Promise.all(names.map((name) => world.dispatcher({ name })));
        const windows = []; // in which somebody was not there, until he had his partitions and had read what is known of them
        const started = Date.now();
        const stream = new Stream(world.broker);
        for (let n = 0; n < timers;) {
            const events = [];
            for (; n < timers && events.length < 1000; n++)
                events.push({ id: `e${n}`, event: 'task.completed', time: new Date(started).toISOString(), tenantId: 'acme', taskId: `t${n}`,
                    data: { due: `${Math.round(begin_ms + n * span_ms / timers)}ms` } });
            await stream.write(events);
        }
        await stream.close();
        report.say(`${timers} events are written after ${((Date.now() - started) / 1000).toFixed(1)} s`);
        await sleep(Math.max(0, started + begin_ms - Date.now()));

        const pause_ms = span_ms / (count + 1);
        await awaitedLater(inflict({ random, count, pause_ms: [0.5 * pause_ms, 1.5 * pause_ms] }, async () => {
            const kind = random.weighted(KINDS), victim = random.pick(dispatchers), delay_ms = random.between(50, 2000);
            if (victim.busy)
                return;
            victim.busy = true;
            report.fault(kind, victim.name);
            const window = [Date.now(), Infinity];
            windows.push(window);
            if (kind === 'stop')
                await freeze(victim, SESSION_MS + 1000 + delay_ms);
            else
                await killAndRestart(victim, delay_ms);
            await world.waitReady(victim);
            window[1] = Date.now() + 1000;
            victim.busy = false;
        }));

        const log = async () => (await world.broker.read('reviews.log')).filter(({ value }) => value.includes('"times":'));
        await sleep(Math.max(0, started + begin_ms + span_ms - Date.now()));
        await eventually(async () => (await log()).length >= timers, { timeout: 300000, interval: 5000, what: `${timers} timers in the log` });
        await sleep(3000);
        const told = (await log()).map(({ timestamp, value }) => ({ timestamp, ...JSON.parse(value) }));
        const seen = new Set(told.map(({ review, times }) => `${review} ${times}`));
        report.check('each fires once', told.length === timers && seen.size === timers, `${told.length} records of ${seen.size} timers, ${timers} expected`);
        report.check('none before its time', told.every(({ timestamp, dueTime }) => timestamp >= Date.parse(dueTime)));
        /* Nobody could fire what was due before all reviews were open. */
        const delays = told.map(({ timestamp, dueTime }) => timestamp - Date.parse(dueTime) - within(windows, Date.parse(dueTime), timestamp)).sort((a, b) => a - b);
        const p99 = delays[Math.floor(0.99 * (delays.length - 1))];
        report.say(`late by ${delays[Math.floor(delays.length / 2)]} ms (median), ${p99} ms (99 of 100), ${delays.at(-1)} ms at most, without the time in which somebody was not there`);
        report.check('99 of 100 within a second of their time, and of the time in which nobody was there', p99 < LATE_MS, `${p99} ms`);
    });
}
