/* A reviewer claims while the dispatcher has a burst of task events before it: the claim does not wait for them. It is measured in the
 * page's place: from the command to the review's next version. */
import { eventually, sleep } from '../../integration/lib/wait.mjs';
import { taskEvent, World } from '../../integration/lib/world.mjs';

export const description = 'people claim while a burst of task events waits for the dispatcher: a claim does not wait for it';
export const faults = 1;
export const options = {
    events: { default: 200000, help: 'of the burst' },
    claims: { default: 200, help: 'reviews that are claimed, one after the other' },
    batch: { default: 1000, help: 'dispatcher.batch.events' },
    within: { default: 100, help: 'ms: how soon 99 of 100 claims have to be shown' },
};

const RULES = `rules:
  - name: doubt
    when: {"event": ["task.completed"]}
    review: {queue: legal, reason: r}
  - name: progress
    when: {"event": ["task.progress"]}
    notify: {type: task.status, rooms: ["task:{taskId}"]}
`;
const settingsFor = (events) => ({
    dispatcher: { review: { log: 'reviews.log', log_partitions: 4 }, batch: { events } },
    gateway: { access: { events: ['review.*'] }, client_events: { review_log: 'reviews.log', rate: 1000, burst: 1000 }, quotas: { user: { events: 10000 } } },
});
const PORTION = 2000, TASKS = 500;
const LEAST = 20; // claims that must have met the burst

export async function run({ report, values }) {
    await World.use('chaos-burst', { rules: RULES, settings: settingsFor(Number(values.batch)) }, async (world) => {
        const [dispatcher, gateway, backend] = [await world.dispatcher(), await world.gateway(), await world.backend()];
        const client = await world.client(gateway, { claims: { sub: 'ann', reviewQueues: ['legal'] } });
        const reviews = new Map();
        const shown = new Map();
        client.socket.on('review.updated', ({ reviewUpdate: { taskId, id, version } }) => {
            reviews.set(taskId, { id, version });
            if (version === 2)
                shown.set(taskId, performance.now());
        });
        const count = Number(values.events);
        const tasks = Array.from({ length: Number(values.claims) }, (_, i) => `review-${i}`);
        await backend.events(tasks.map((taskId) => taskEvent({ taskId, n: 1, event: 'task.completed', userId: 'nobody' })));
        await eventually(() => reviews.size === tasks.length, { timeout: 60000, what: () => `${tasks.length} reviews, ${reviews.size} are open` });

        const judged = () => world.metric(dispatcher, 'smartstack_dispatcher_records_total');
        const before = await judged();
        const claim = async (taskId) => {
            const { id, version } = reviews.get(taskId);
            const sent = performance.now();
            await client.ask('review.claim', { review: id, version }, { room: 'review:legal' });
            await eventually(() => shown.has(taskId), { timeout: 60000, interval: 1, what: `${taskId} to be claimed` });
            return shown.get(taskId) - sent;
        };
        await claim(tasks.shift());
        report.fault('stop', dispatcher.name);
        dispatcher.pause();
        for (let i = 0; i < count; i += PORTION)
            await backend.events(Array.from({ length: PORTION }, (_, n) => taskEvent({ taskId: `burst-${(i + n) % TASKS}`, n: i + n, event: 'task.progress' })));
        dispatcher.resume();
        await sleep(200); // it has the burst before it, and has begun
        const took = [];
        while (tasks.length > 0) {
            const ms = await claim(tasks.shift());
            const done = await judged() - before;
            if (done >= count)
                break; // this one may have met nothing of it
            took.push(ms);
        }
        await eventually(async () => await judged() - before >= count, { timeout: 300000, what: 'all events of the burst to be judged' });
        took.sort((a, b) => a - b);
        const at = (share) => Math.round(took[Math.min(took.length - 1, Math.floor(share * took.length))]);
        report.check('claims met the burst', took.length >= LEAST, `${took.length} did`);
        report.check(`99 of 100 claims within ${values.within} ms`, at(0.99) < Number(values.within), `${took.length} claims: median ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`);
        report.say(`${took.length} claims beside ${count} events: median ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`);
    });
}
