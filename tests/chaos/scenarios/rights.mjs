/* Orders of the backend: sessions of all transports behind a load balancer are each named by one record, half to be ended, half to lose a
 * room, while notifications are published, clients upgrade, and a gateway is killed. */
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { TOPICS, World } from '../../integration/lib/world.mjs';
import { killAndRestart } from '../lib/faults.mjs';
import { newSubject, Orders } from '../lib/subjects.mjs';
import { SYSTEMS } from '../lib/systems.mjs';
import { publish } from '../lib/witness.mjs';

export const description = 'sessions ended and rooms closed by orders of the backend: at once, at every gateway, also at one that starts later or was killed';
export const faults = 1;
export const options = {
    clients: { default: 10000, help: 'sessions, of all transports' },
    gateways: { default: 3, help: 'gateways behind the load balancer' },
    rooms: { default: 100, help: 'rooms; each client is in one' },
    rate: { default: 200, help: 'notifications per second' },
    pace: { default: 250, help: 'orders per second' },
    upgraders: { default: 100, help: 'clients that are named while they connect and upgrade' },
    limit: { default: 1000, help: 'milliseconds: p99 from the produce to the end, or the news of the lost room' },
};

const TOPIC = 'gateway.control', BATCH_MS = 20, TICK_MS = 20, STANDS_MS = 250, SAMPLE = 50;
const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
const isEnded = ({ i }) => i % 2 === 0;

async function openSubjects(url, count, rooms) {
    const subjects = Array.from({ length: count }, (_, i) => newSubject(i, rooms));
    for (let i = 0; i < count; i += 40) {
        await Promise.all(subjects.slice(i, i + 40).map(async (subject) => {
            await subject.open(url);
            subject.joined = await subject.join();
        }));
    }
    return subjects;
}

/* One record for each, at a pace; `sent` is the moment before the produce, `acknowledged` that of the broker's word. */
async function orderAll(orders, subjects, pace, halfway) {
    const started = performance.now();
    for (let done = 0; done < subjects.length;) {
        const due = Math.min(subjects.length, Math.ceil(((performance.now() - started) / 1000) * pace));
        const batch = subjects.slice(done, due);
        if (batch.length) {
            batch.forEach((subject) => { subject.sent = Date.now(); });
            await orders.write(batch.map((subject) => ({ ...subject.name, ...(isEnded(subject) ? { order: 'disconnect' } : { order: 'leave', room: subject.room }) })));
            batch.forEach((subject) => { subject.acknowledged = Date.now(); });
        }
        if (done < subjects.length / 2 && due >= subjects.length / 2)
            halfway();
        done = due;
        await sleep(BATCH_MS);
    }
}

/* All clients are in this process: while it has more to do than it can, what has come for them waits. When that was. */
class Standstills {
    #spans = [];
    #seen = Date.now();
    #timer = setInterval(() => {
        const now = Date.now();
        if (now - this.#seen > STANDS_MS)
            this.#spans.push([this.#seen + TICK_MS, now]);
        this.#seen = now;
    }, TICK_MS);

    end() { clearInterval(this.#timer); }
    within(from, to) { return this.#spans.reduce((sum, [begin, end]) => sum + Math.max(0, Math.min(end, to) - Math.max(begin, from)), 0); }
}

const momentOf = (subject) => (isEnded(subject) ? subject.cuts.find((at) => at >= subject.sent) ?? subject.ended : subject.left);

function checkTimes(report, subjects, limit, standstills) {
    const whole = subjects.map((subject) => momentOf(subject) - subject.sent).sort((a, b) => a - b);
    report.say(`with what the clients' own process stood still: p50 ${percentile(whole, 0.5)} ms, p99 ${percentile(whole, 0.99)} ms, max ${whole.at(-1)} ms`);
    const times = subjects.map((subject) => momentOf(subject) - subject.sent - standstills.within(subject.sent, momentOf(subject))).sort((a, b) => a - b);
    const [p50, p99, max] = [percentile(times, 0.5), percentile(times, 0.99), times.at(-1)];
    const slow = [...subjects].sort((a, b) => momentOf(b) - b.sent - (momentOf(a) - a.sent)).slice(0, 3);
    report.say(`the slowest: ${slow.map((subject) => `${subject.kind} ${momentOf(subject) - subject.sent} ms, of which the broker's ${subject.acknowledged - subject.sent} ms`).join('; ')}`);
    report.check(`p99 from the produce is below ${limit} ms`, p99 < limit, `${times.length} sessions, p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`);
}

/* Named within a tenth of a second after they begin to connect. */
async function orderUpgraders(random, orders, url, { count, rooms, first }) {
    const subjects = Array.from({ length: count }, (_, i) => newSubject(first + 3 * i, rooms, 'both')); // by user, all of them
    const waits = subjects.map(() => random.between(0, 100));
    for (let i = 0; i < count; i += 20) {
        await Promise.all(subjects.slice(i, i + 20).map(async (subject, j) => {
            const open = subject.open(url).catch(() => {});
            await sleep(waits[i + j]);
            await orders.write([{ user: subject.user, order: 'disconnect' }]);
            await open;
        }));
    }
    return subjects;
}

async function checkLater(report, late, subjects, rooms) {
    const sample = (which) => subjects.filter(which).slice(-SAMPLE);
    const again = async (subject, use) => {
        const copy = newSubject(subject.i, rooms, subject.kind === 'sse' ? 'raw' : subject.kind);
        await copy.open(late.url);
        const result = await use(copy);
        copy.close();
        return result;
    };
    const ended = await Promise.all(sample((subject) => isEnded(subject) && !subject.name.session).map((subject) => again(subject, (copy) => copy.code ?? 'let in')));
    report.check('a gateway that starts later refuses whom an order ended', ended.every((code) => code === 'disconnected'), `${ended.length} tried`);
    const left = await Promise.all(sample((subject) => !isEnded(subject) && !subject.name.session).map((subject) => again(subject, (copy) => copy.join())));
    report.check('and closes the room that an order closed', left.every((code) => code === 'not_allowed'), `${left.length} tried`);
}

export async function run({ random, report, faults: kills, values }) {
    const [count, rooms, limit] = ['clients', 'rooms', 'limit'].map((name) => Number(values[name]));
    const upgraders = Number(values.upgraders);
    const settings = { control: { topic: TOPIC, orders: 2 * (count + upgraders) + 100 }, access: { connect: ['user:{sub}'], join: ['task:*'] } };
    await World.use('chaos-rights', { topics: { ...TOPICS, [TOPIC]: 1 } }, async (world) => {
        const { servers: gateways, spares, balancer, stream } = await SYSTEMS.smartstack.open(world, { count: Number(values.gateways), idle: 1, settings });
        const orders = await Orders.open(world, TOPIC);
        const subjects = await openSubjects(balancer.url, count, rooms);
        report.check('everybody is connected, and in a room', subjects.every(({ connected, joined }) => connected && joined === 'ok'), `${count}`);
        let over = false;
        const publishing = awaitedLater(publish({ rooms, rate: Number(values.rate), over: () => over, stream }));
        await sleep(1000);
        let back;
        const standstills = new Standstills();
        await orderAll(orders, subjects, Number(values.pace), () => {
            if (!kills)
                return;
            report.fault('kill -9', gateways[0].name);
            back = awaitedLater(killAndRestart(gateways[0], random.between(500, 3000)));
        });
        await back;
        const done = (subject) => (isEnded(subject) ? subject.ended && !subject.connected : subject.left);
        await eventually(() => subjects.every(done), { timeout: 60000, what: () => `all orders to be done, ${subjects.filter((subject) => !done(subject)).length} are not` })
            .catch((error) => report.say(error.message));
        const open = subjects.filter((subject) => !done(subject));
        open.slice(0, 5).forEach(({ i, kind, name, connected, cuts, code }) => report.say(`  subject ${i} ${kind} ${JSON.stringify(name)} connected ${connected} cuts ${cuts.length} code ${code}`));
        report.check('every order is done', open.length === 0, `${open.length} are not`);
        /* Those whose gateway was killed are done when they are back: their time is that of their return. */
        const spared = subjects.filter((subject) => done(subject) && !subject.swept);
        standstills.end();
        checkTimes(report, spared, limit, standstills);
        const upgraded = await orderUpgraders(random, orders, balancer.url, { count: upgraders, rooms, first: 3 * count });
        await eventually(() => upgraded.every(({ ended, connected }) => ended && !connected), { timeout: 20000, what: 'the end of those that upgrade' }).catch((error) => report.say(error.message));
        report.check('who is named while it connects and upgrades is ended', upgraded.every(({ ended, connected }) => ended && !connected), `${upgraders}`);
        await spares[0].start();
        await world.waitReady(spares[0]);
        await checkLater(report, spares[0], subjects, rooms);
        await sleep(2000); // for what should not come
        over = true;
        await publishing;
        const late = subjects.reduce((total, { lateDeliveries }) => total + lateDeliveries, 0);
        report.check('nothing of a lost room comes after it was told', late === 0, `${late} of ${subjects.reduce((total, { deliveries }) => total + deliveries, 0)}`);
        report.check('whom an order ended stays away', subjects.filter(isEnded).every(({ connected }) => !connected));
        report.check('every gateway is alive', gateways.every(({ alive }) => alive));
        [...subjects, ...upgraded].forEach((subject) => subject.close());
    });
}
