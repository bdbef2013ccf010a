/* Reviewers claim, and decide against each other, all at once, over several gateways, while gateways and dispatchers are killed. One has each
 * review, every screen shows the same, nobody's goes back, and the backend gets each decision once. Afterwards the log is read from its
 * beginning: it explains every update, in its order, and there is no other. */
import path from 'node:path';
import { decodeNotification } from '../../integration/lib/backend.mjs';
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { taskEvent, World } from '../../integration/lib/world.mjs';
import { inflict, killAndRestart } from '../lib/faults.mjs';
import { startGateways } from '../lib/gateways.mjs';

export const description = 'reviewers claim and decide at one instant while all is killed: one has it, everybody sees it';
export const faults = 50;
export const options = {
    reviewers: { default: 1000, help: 'clients, all of one queue' },
    gateways: { default: 3, help: 'gateways' },
    dispatchers: { default: 2, help: 'dispatchers of the group' },
    old: { default: '', help: 'folder of a build of a version without reviews, of which another dispatcher is in the group' },
    rounds: { default: 2, help: 'reviews at least: a claimed one and one that is decided by all at once, in turn' },
    pause: { default: 3, help: 'seconds between faults, on average' },
};

const ROOM = 'review:legal', DEADLINE_MS = 5000, PATIENCE_MS = 180000, WORDS = ['approve', 'reject'];
const RULES = `rules:
  - name: doubt
    when: {"event": ["task.completed"]}
    review: {queue: legal, reason: r}
`;
const OF_DISPATCHERS = { dispatcher: { review: { log: 'reviews.log', log_partitions: 4 } } };
const OF_GATEWAYS = { access: { events: ['review.*'] }, client_events: { review_log: 'reviews.log' } };

/* What one reviewer's page shows. */
class Screen {
    reviews = new Map();
    lifeless = new Set(); // tasks whose alert names no review
    wrong = 0;

    constructor(client, name) {
        Object.assign(this, { client, name });
        client.keep = false;
        client.socket.on('review.alert', ({ reviewAlert: { taskId, reviewId } }) => reviewId || this.lifeless.add(taskId));
        client.socket.on('review.updated', ({ reviewUpdate: update }) => {
            const version = this.reviews.get(update.taskId)?.version ?? 0;
            this.wrong += update.version !== version + 1;
            this.reviews.set(update.taskId, update);
        });
    }

    /* Says it again until something is heard, as a page would. */
    async say(act, taskId, version, more, over) {
        for (const until = Date.now() + PATIENCE_MS; !over() && Date.now() < until; await sleep(100)) {
            await this.client.ask(act, { review: this.reviews.get(taskId).id, version, ...more }, { room: ROOM }).catch(() => {});
            for (const heard = Date.now() + DEADLINE_MS; !over() && Date.now() < heard;)
                await sleep(50);
        }
    }
}

/* What the log says of one review after the other; void commands are those that led to nothing though they could. */
function explain(log, updates, report) {
    const told = new Map();
    for (const update of updates)
        told.set(update.id, [...told.get(update.id) ?? [], update]);
    let unexplained = 0;
    for (const [id, list] of told) {
        const commands = log.filter(({ review }) => review === id);
        let version = 0, holder;
        for (const update of list) {
            const by = commands.find((one) => one.command === update.command && one.user === update.by && one.version === version);
            const fits = update.state === 'open' ? version === 0
                : update.state === 'claimed' ? by?.act === 'review.claim' && !holder
                    : by?.act === 'review.decide' && (!holder || holder === update.by) && by.decision === update.decision;
            unexplained += !fits || update.version !== version + 1;
            version = update.version;
            holder = update.state === 'claimed' ? update.by : undefined;
        }
    }
    report.check('the log explains every update, in its order', unexplained === 0, `${unexplained} of ${updates.length} it does not`);
}

export async function run({ random, report, faults: count, values }) {
    await World.use('chaos-reviews', { rules: RULES, settings: { gateway: OF_GATEWAYS } }, async (world) => {
        const names = Array.from({ length: Number(values.dispatchers) }, (_, i) => `dispatcher-${i}`);
        const dispatchers = await Promise.all(names.map((name) => world.dispatcher({ name, settings: OF_DISPATCHERS })));
        if (values.old)
            dispatchers.push(await world.dispatcher({ name: 'dispatcher-old', binary: path.resolve(values.old, 'dispatcher/dispatcher') }));
        const gateways = await startGateways(world, Number(values.gateways));
        const backend = await world.backend();
        const screens = [];
        for (let i = 0; i < Number(values.reviewers); i++) {
            const claims = { sub: `r${i}`, reviewQueues: ['legal'] };
            screens.push(new Screen(await world.client(gateways[i % gateways.length], { claims }), `r${i}`));
        }
        let broken = false;
        const breaking = awaitedLater(inflict({ random, count, pause_ms: [200, 2000 * Number(values.pause)] }, async () => {
            const victim = random.pick([...dispatchers, ...gateways]);
            if (victim.down)
                return;
            victim.down = true;
            report.fault('kill -9', victim.name);
            await killAndRestart(victim, random.between(50, 500));
            await world.waitReady(victim);
            victim.down = false;
        }).then(() => { broken = true; }));

        const differ = [];
        let rounds = 0, tasks = 0;
        const all = (taskId, what) => eventually(() => screens.every((screen) => what(screen.reviews.get(taskId) ?? {}, screen)),
            { timeout: PATIENCE_MS, what: () => `${taskId} on ${screens.filter((screen) => !what(screen.reviews.get(taskId) ?? {}, screen)).length} screens` });
        for (; !broken || rounds < Number(values.rounds);) {
            const taskId = `task-${tasks++}`;
            const shows = (screen) => screen.reviews.get(taskId);
            await backend.events([taskEvent({ taskId, n: 1, event: 'task.completed', userId: 'nobody' })]);
            await all(taskId, ({ version }, screen) => version >= 1 || screen.lifeless.has(taskId));
            if (!shows(screens[0]))
                continue; // the old one had it
            if (rounds++ % 2) { // contrary, all at once
                await Promise.all(screens.map((screen, i) => screen.say('review.decide', taskId, 1, { decision: WORDS[i % 2] }, () => shows(screen).version > 1)));
            } else {
                await Promise.all(screens.map((screen) => screen.say('review.claim', taskId, 1, {}, () => shows(screen).version > 1)));
                const holder = screens.find(({ name }) => name === shows(screens[0]).by);
                await holder.say('review.decide', taskId, 2, { decision: 'approve' }, () => shows(holder).version > 2);
            }
            await all(taskId, ({ state }) => state === 'decided');
            const seen = new Set(screens.map((screen) => JSON.stringify(shows(screen))));
            if (seen.size > 1)
                differ.push([taskId, ...[...seen].slice(0, 2)].join(' '));
        }
        await breaking;

        report.check('one on every screen, of each review', differ.length === 0, `${differ.length} of ${rounds} differ${differ.slice(0, 3).map((text) => `; ${text}`).join('')}`);
        report.check('no screen goes back or misses a step', screens.every(({ wrong }) => !wrong), `${screens.filter(({ wrong }) => wrong).length} do`);
        const decisions = await world.broker.read('reviews.decisions');
        report.check('one decision for each review', decisions.length === rounds && new Set(decisions.map(({ key }) => key.toString())).size === rounds, `${decisions.length} of ${rounds}`);
        const log = (await world.broker.read('reviews.log', { headers: true })).map(({ value, headers }) => ({
            act: headers.ce_type, command: headers.ce_id, user: headers.ce_userid, ...JSON.parse(value) }));
        const told = (await world.broker.read('fanout.review.legal')).map(({ value }) => decodeNotification(value));
        const alerts = told.map(({ reviewAlert }) => reviewAlert?.taskId).filter(Boolean), updates = told.map(({ reviewUpdate }) => reviewUpdate).filter(Boolean);
        report.check('one alert for each task', alerts.length === tasks && new Set(alerts).size === tasks, `${alerts.length} of ${tasks}`);
        if (values.old)
            report.check('the old dispatcher had tasks, whose alerts name no review', tasks > rounds, `${tasks - rounds} of ${tasks}`);
        explain(log, updates, report);
        report.say(`${rounds} reviews, ${log.length} records of their log, ${updates.length} updates, ${screens.length} screens`);
    });
}
