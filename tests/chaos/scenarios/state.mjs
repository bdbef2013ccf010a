/* Pages join a board in the middle of its traffic, while gateways and dispatchers are killed: the state that each is given, and what
 * is live from there on, is what it would show if it had been there all the time. */
import { decodeNotification } from '../../integration/lib/backend.mjs';
import { token } from '../../integration/lib/client.mjs';
import { WebSocketClient } from '../../integration/lib/streams.mjs';
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { SECRET, taskEvent, World } from '../../integration/lib/world.mjs';
import { inflict, killAndRestart } from '../lib/faults.mjs';
import { startGateways } from '../lib/gateways.mjs';

export const description = 'late joiners of a board, gateways and dispatchers killed: state and deltas are the fold of the lane for each';
export const faults = 5;
export const options = {
    joiners: { default: 1000, help: 'clients that join late, one after the other' },
    items: { default: 1000, help: 'items of the board' },
    rate: { default: 50000, help: 'events per second, as far as the machine goes' },
    before: { default: 20000, help: 'events before the first joins' },
    gateways: { default: 2, help: 'gateways' },
    dispatchers: { default: 2, help: 'dispatchers' },
    stay: { default: 500, help: 'milliseconds that a joiner stays, and longer until something is live' },
    pause: { default: 3, help: 'seconds between faults, on average' },
};

const ROOM = 'project:board', TENANT = 'acme', TOPIC = 'fanout.tenant', TICK_MS = 20, AT_ONCE = 20;
const RULES = `rules:
  - {name: show, when: {"event": ["task.progress"]}, notify: {type: task.status, rooms: ["project:{projectId}"], state: "{taskId}"}}
  - {name: over, when: {"event": ["task.completed"]}, notify: {type: task.status, rooms: ["project:{projectId}"], state: {item: "{taskId}", remove: true}}}
`;
const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

class Publisher {
    n = 0;
    constructor(backend, random, items) { Object.assign(this, { backend, random, items }); }

    next() {
        const event = this.random.fraction() < 0.1 ? 'task.completed' : 'task.progress';
        return taskEvent({ taskId: `task-${this.random.integer(0, this.items)}`, projectId: 'board', tenantId: TENANT, event, n: ++this.n });
    }
    publish(count) { return this.backend.events(Array.from({ length: count }, () => this.next())); }

    async run(rate, over) {
        for (let began = performance.now(), sent = 0; !over(); await sleep(TICK_MS)) {
            const due = Math.min(5000, Math.floor(((performance.now() - began) / 1000) * rate) - sent);
            if (due > 0)
                await this.publish(due);
            sent += Math.max(due, 0);
        }
    }
}

/* What it shows when it leaves, and the last that it was given, which is where it then stands in the lane. */
class Joiner {
    board = new Map();

    set({ item, taskStatus }) {
        this.board.delete(item.key);
        if (!item.removed)
            this.board.set(item.key, taskStatus.data.n);
    }

    async join(gateway, stay_ms) {
        const client = new WebSocketClient(gateway.url, { token: token({ sub: 'usr_late', tenant: TENANT }, SECRET) });
        const take = client.take.bind(client);
        client.take = (message) => {
            if (message.type === 'state' && message.first) {
                this.board.clear();
                this.last = undefined; // where in the lane the state stands, what is live tells
                this.heard = 0;
            }
            if (message.type === 'state')
                message.items.forEach(({ data }) => this.set(data));
            else if (message.type === 'notification') {
                this.last = message.data.id;
                this.heard++;
                this.set(message.data);
            } else if (message.type === 'welcome' && !message.recovered)
                this.has = false;
            take(message);
        };
        client.start();
        try {
            await eventually(() => client.welcomes.length, { timeout: 60000, what: 'a gateway' });
            await eventually(() => this.has || this.ask(client), { timeout: 120000, what: () => `a state, asked for ${this.asked} times: ${this.answer}` });
            await sleep(stay_ms);
            await eventually(async () => (this.has || await this.ask(client)) && this.last, { timeout: 120000, what: 'something live' });
        } finally {
            client.take = () => {}; // what is on its way still is not shown any more
            client.disconnect();
        }
    }

    /* Cut off, or held up by a transaction of a dispatcher that was killed: asked again. */
    async ask(client) {
        const began = performance.now();
        this.asked = (this.asked ?? 0) + 1;
        try {
            const answer = await client.ask({ type: 'subscribe', rooms: [ROOM], state: true });
            this.has = Boolean(answer.state);
            this.answer = JSON.stringify(answer);
        } catch (error) { // its gateway was killed
            this.has = false;
            this.answer = error.message;
        }
        this.waited_ms = performance.now() - began;
        return this.has;
    }
}

/* In words; empty: it shows what it should. */
function difference(shown, board) {
    const count = (map, what) => [...map].filter(what).length;
    const wrong = {
        'too many': count(shown, ([key]) => !board.has(key)), missing: count(board, ([key]) => !shown.has(key)),
        older: count(shown, ([key, n]) => n < board.get(key)), newer: count(shown, ([key, n]) => n > board.get(key)),
    };
    return Object.entries(wrong).filter(([, items]) => items).map(([word, items]) => `${items} ${word}`).join(', ');
}

/* At each record of the lane, those who have left there. */
async function compare(report, broker, joiners) {
    const leaving = new Map();
    for (const joiner of joiners)
        leaving.set(joiner.last, [...leaving.get(joiner.last) ?? [], joiner]);
    const board = new Map();
    let wrong = 0, compared = 0;
    for (const { value } of await broker.read(TOPIC)) {
        const { id, item, taskStatus, rooms } = decodeNotification(value);
        if (!item || !rooms.includes(ROOM))
            continue;
        board.delete(item.key);
        if (!item.removed)
            board.set(item.key, JSON.parse(taskStatus.data).n);
        for (const joiner of leaving.get(id) ?? []) {
            compared++;
            const differs = difference(joiner.board, board);
            if (differs && wrong++ < 10)
                report.say(`at ${id}: of ${board.size} items ${differs}; it asked ${joiner.asked} times, and heard ${joiner.heard} live`);
        }
    }
    report.check('state and deltas are the fold of the lane for each', wrong === 0 && compared === joiners.length, `${wrong} are not, ${compared} of ${joiners.length} compared`);
}

export async function run({ random, report, faults: count, values }) {
    const [joining, items, rate, stay_ms] = ['joiners', 'items', 'rate', 'stay'].map((name) => Number(values[name]));
    const pause_ms = Number(values.pause) * 1000;
    /* Little is read back, so that it is the topic that knows. */
    await World.use('chaos-state', { rules: RULES }, async (world) => {
        const dispatchers = [];
        for (let i = 0; i < Number(values.dispatchers); i++)
            dispatchers.push(await world.dispatcher({ name: `dispatcher-${i}` }));
        const gateways = await startGateways(world, Number(values.gateways), { history: { bytes: '64KiB' }, access: { join: ['project:*'] } });
        const publisher = new Publisher(await world.backend(), random.fork(), items);
        for (let left = Number(values.before); left > 0; left -= 1000)
            await publisher.publish(Math.min(left, 1000));
        let over = false;
        const publishing = awaitedLater(publisher.run(rate, () => over));
        const chance = random.fork();
        const befalling = awaitedLater(inflict({ random: chance, count, pause_ms: [0.5 * pause_ms, 1.5 * pause_ms] }, (i) => {
            const victim = (i % 2 ? dispatchers : gateways)[Math.floor(i / 2) % (i % 2 ? dispatchers : gateways).length];
            report.fault('kill -9', victim.name);
            return killAndRestart(victim, chance.between(0, 1000));
        }));
        const joiners = Array.from({ length: joining }, () => new Joiner());
        for (let i = 0; i < joining; i += AT_ONCE)
            await Promise.all(joiners.slice(i, i + AT_ONCE).map((joiner, j) => joiner.join(gateways[j % gateways.length], stay_ms)));
        await befalling;
        over = true;
        await publishing;
        report.say(`${publisher.n} events`);
        const times = joiners.map(({ waited_ms }) => waited_ms).sort((a, b) => a - b);
        report.say(`from asking to the answer: p50 ${percentile(times, 0.5).toFixed(0)} ms, p99 ${percentile(times, 0.99).toFixed(0)} ms, max ${times.at(-1).toFixed(0)} ms`);
        const of = async (name) => (await Promise.all(gateways.map((gateway) => world.metric(gateway, `smartstack_gateway_${name}`)))).join(' and ');
        report.say(`since the last start of each gateway: ${await of('states_of_views_total')} states of views, ${await of('view_loads_total')} loads, ${await of('state_lists_total')} lists`);
        await compare(report, world.broker, joiners);
        report.check('every program is alive', [...gateways, ...dispatchers].every(({ alive }) => alive));
    });
}
