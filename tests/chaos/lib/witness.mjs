/* Stock clients that check as they go, and the numbered notifications that they check. */
import http from 'node:http';
import { Client, token } from '../../integration/lib/client.mjs';
import { eventually, sleep } from '../../integration/lib/wait.mjs';
import { SECRET } from '../../integration/lib/world.mjs';

export const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], both: ['polling', 'websocket'] };
export const ROOMS_PER_CLIENT = 5;
const ANY = 0;
const HISTORY = 30; // what is kept of what befell a client

/* A client and, for each of its rooms, the number that comes next. */
export class Witness {
    /* `late`: it comes when numbers are being published, and takes each room's first as it finds it. */
    constructor(url, i, transports, rooms, { late = false, cookies = false } = {}) {
        this.rooms = rooms;
        this.next = new Map(rooms.map((room) => [room, late ? ANY : 1]));
        this.lost = 0;
        this.doubled = 0;
        this.alien = 0;
        this.returns = 0;
        this.fresh = 0;
        this.declared = 0; // numbers missed where a fresh session said so
        this.disconnects = []; // when
        this.reasons = [];
        this.i = i;
        this.kind = transports.join('+');
        this.taken = 0;
        this.history = [];
        this.joined = true;
        this.at = NaN; // when the last notification came
        this.forgiven = new Set();
        this.agent = new http.Agent({ keepAlive: false }); // see README.md
        this.client = new Client(url, {
            auth: { token: token({ sub: `usr_${i}`, tenant: 'acme' }, SECRET) },
            options: { transports, agent: this.agent, withCredentials: cookies, reconnectionDelay: 100, reconnectionDelayMax: 1000, timeout: 5000 },
        });
        this.answers = []; // reasons of fresh sessions
        this.client.socket.on('session', ({ reason }) => {
            this.answers.push(reason);
            this.#note(`told ${reason}`);
        });
        this.client.keep = false;
        this.client.listeners.add(({ notification }) => this.#take(notification));
    }

    #take({ rooms, taskStatus }) {
        this.at = performance.now();
        this.taken++;
        const room = rooms[0];
        const expected = this.next.get(room);
        const { n } = taskStatus.data;
        if (expected === undefined) {
            this.alien++;
            return;
        }
        if (n < expected) {
            this.doubled++;
            this.#note(`${room}: ${n} again, ${expected} was next`);
            return;
        }
        const forgiven = this.forgiven.delete(room);
        if (expected !== ANY && forgiven)
            this.declared += n - expected;
        else if (expected !== ANY)
            this.lost += n - expected;
        if (expected !== ANY && n > expected)
            this.#note(`${room}: ${n} instead of ${expected}${forgiven ? ', as was said' : ''}`);
        this.next.set(room, n + 1);
    }

    #note(text) {
        this.history.push(`${new Date().toISOString().slice(11, 23)} ${text}`);
        if (this.history.length > HISTORY)
            this.history.shift();
    }

    async open() {
        await this.client.connect(30000);
        await this.client.subscribe(...this.rooms);
        const { socket } = this.client;
        socket.on('disconnect', (reason) => {
            this.disconnects.push(performance.now());
            this.reasons.push(reason);
            this.#note(`disconnected, ${reason}`);
        });
        socket.on('connect', () => {
            this.returns++;
            this.#note(socket.recovered ? 'recovered' : 'fresh session');
            if (!socket.recovered) {
                this.fresh++;
                this.joined = false;
                this.forgiven = new Set(this.rooms); // what was missed is declared
            }
            if (!this.joined)
                this.#join();
        });
        return this;
    }

    /* Rooms that were asked for are asked for again after a fresh session; if that is cut short, at the next
     * return. */
    #join() {
        this.client.subscribe(...this.rooms).then(() => { this.joined = true; }, () => {
            if (this.client.socket.connected) // no answer in time, from a gateway that is stopped
                this.#join();
        });
    }

    behind(last) { return this.rooms.filter((room) => this.next.get(room) !== ANY && this.next.get(room) <= last[numberOf(room)]).length; }

    /* For those who look into a run. */
    describe() {
        const { socket, transport } = this.client;
        const { engine } = socket.io;
        return `client ${this.i}: ${this.kind}, ${socket.connected ? 'connected' : 'not connected'}, by ${transport}, engine ${engine?.readyState} ${engine?.id ?? ''}`
            + `, ${this.reasons.length} disconnects, the last ${Math.round(performance.now() - this.disconnects.at(-1))} ms ago by ${this.reasons.at(-1)}`
            + `, last event ${Math.round(performance.now() - this.at)} ms ago`;
    }

    /* Loses its connection and does not come back before comeBack(). */
    goAway() {
        const { socket } = this.client;
        socket.io.reconnection(false);
        const cutting = setInterval(() => { // between two polls there is nothing to cut
            if (socket.connected)
                this.cut();
            else
                clearInterval(cutting);
        }, 5);
    }

    comeBack() {
        this.client.socket.io.reconnection(true);
        this.client.socket.connect();
    }

    /* As if the network were gone: no packet says goodbye. */
    cut() {
        this.client.socket.io.engine?.transport?.ws?._socket?.destroy();
        this.agent.destroy();
    }
}

const nameOf = (i) => `task:r${i}`;
const numberOf = (room) => Number(room.slice('task:r'.length));

/* Connected witnesses, `transports` being a name of TRANSPORTS or `mixed`. */
export async function openWitnesses(world, url, { count, rooms, transports, ...more }) {
    const witnesses = Array.from({ length: count }, (_, i) => {
        const kind = transports === 'mixed' ? Object.keys(TRANSPORTS)[i % 3] : transports;
        const own = Array.from({ length: Math.min(ROOMS_PER_CLIENT, rooms) }, (_, j) => nameOf((i * ROOMS_PER_CLIENT + j) % rooms));
        const witness = new Witness(url, i, TRANSPORTS[kind], own, more);
        world.clients.push(witness.client);
        return witness;
    });
    for (let i = 0; i < witnesses.length; i += 20)
        await Promise.all(witnesses.slice(i, i + 20).map((witness) => witness.open()));
    return witnesses;
}

/* Publishes at `rate` per second into `rooms` rooms in turn, numbered in each, until `over()`. Resolves to the last
 * number of each. */
export async function publish({ stream, rooms, rate, over }) {
    const numbers = Array.from({ length: rooms }, () => 0);
    const started = performance.now();
    let total = 0;
    while (!over()) {
        const due = ((performance.now() - started) / 1000) * rate;
        const batch = [];
        for (; total < due; total++) {
            const room = total % rooms;
            batch.push({ id: `event-${total}`, event: 'task.progress', tenantId: 'acme', taskId: `r${room}`, type: 'extraction', data: { n: ++numbers[room] } });
        }
        if (batch.length)
            await stream.write(batch);
        await sleep(10);
    }
    await stream.close();
    return numbers;
}

export const sum = (witnesses, field) => witnesses.reduce((total, witness) => total + witness[field], 0);

const SOON_MS = 5000;

/* Waits for the logs' ends and checks that each is exactly 1..K. */
export async function checkLogs(report, witnesses, last, { timeout = 60000 } = {}) {
    report.say(`${last.reduce((total, n) => total + n, 0)} notifications are published`);
    const behind = () => sum(witnesses.map((witness) => ({ behind: witness.behind(last) })), 'behind');
    await eventually(() => behind() === 0, { timeout: SOON_MS, what: 'all logs to be complete' }).catch(() => {});
    const late = witnesses.filter((witness) => witness.behind(last));
    if (late.length)
        report.say(`${late.length} clients lack something yet`);
    late.slice(0, 5).forEach((witness) => report.say(`  ${witness.describe()}`));
    await eventually(() => behind() === 0, { timeout, what: 'all logs to be complete' }).catch(() => {});
    await sleep(2000); // for what should not come
    report.say(`${sum(witnesses, 'returns')} returns, ${sum(witnesses, 'fresh')} of them fresh sessions; `
        + `${sum(witnesses, 'taken')} notifications came, ${sum(witnesses, 'declared')} were missed before a fresh session`);
    witnesses.filter(({ lost, doubled }) => lost + doubled).slice(0, 3).forEach((witness) => {
        report.say(witness.describe());
        witness.history.forEach((line) => report.say(`  ${line}`));
    });
    report.check('every log reaches its end', behind() === 0, `${behind()} do not`);
    for (const [field, text] of [['lost', 'nothing is lost in silence'], ['doubled', 'nothing is doubled'], ['alien', 'nothing comes to the wrong client']])
        report.check(text, sum(witnesses, field) === 0, String(sum(witnesses, field)));
}

/* Every return was a recovery: nothing missed, nothing declared missing. */
export function checkRecoveries(report, witnesses) {
    report.check('every return is a recovery', sum(witnesses, 'fresh') === 0, `${sum(witnesses, 'fresh')} of ${sum(witnesses, 'returns')} are not`);
}

/* It is connected, and has been given something since. */
export const isAlive = ({ client, at }, since) => client.socket.connected && at > since;

/* Every fresh session came with its reason, one of these. */
export function checkAnswers(report, witnesses, reasons) {
    const counts = new Map();
    witnesses.flatMap(({ answers }) => answers).forEach((reason) => counts.set(reason, (counts.get(reason) ?? 0) + 1));
    report.say(`reasons of fresh sessions: ${[...counts].map(([reason, count]) => `${count} ${reason}`).join(', ') || 'none'}`);
    const told = [...counts.values()].reduce((total, count) => total + count, 0);
    report.check('every fresh session came with its reason', told === sum(witnesses, 'fresh'), `${told} of ${sum(witnesses, 'fresh')}`);
    report.check('the reasons are the right ones', [...counts.keys()].every((reason) => reasons.includes(reason)), [...counts.keys()].join(', '));
}
