/* The stock socket.io-client with a log: what came, in which room, in which order. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { io } from 'socket.io-client';
import { eventually, PATIENCE, within } from './wait.mjs';

export const EVENTS = ['task.status', 'notification', 'review.alert', 'review.updated', 'review.refused'];

/* A JWT, HS256. */
export function token(claims, secret) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`;
    return `${body}.${crypto.createHmac('sha256', secret).update(body).digest('base64url')}`;
}

export class Client {
    /* `auth` goes into CONNECT; `options` are socket.io-client's. */
    constructor(url, { auth = {}, options = {} } = {}) {
        this.received = []; // {event, notification, cursor, at}
        this.keep = true;   // false: only the listeners see them
        this.listeners = new Set();
        this.socket = io(url, { auth, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, autoConnect: false, ...options });
        for (const event of EVENTS) {
            this.socket.on(event, (notification, ...rest) => {
                const entry = { event, notification, cursor: rest.at(-1), at: performance.now() };
                if (this.keep)
                    this.received.push(entry);
                this.listeners.forEach((listener) => listener(entry));
            });
        }
    }

    async connect(timeout = PATIENCE) {
        const connected = new Promise((resolve, reject) => {
            this.socket.once('connect', resolve);
            this.socket.once('connect_error', (error) => {
                if (!this.socket.active) // refused: the client will not try again
                    reject(error);
            });
        });
        this.socket.connect();
        await within(timeout, connected, 'CONNECT');
        return this;
    }

    get transport() { return this.socket.io.engine?.transport?.name; }

    /* The answer to a subscription, whatever it is. */
    ask(event, ...args) { return this.socket.timeout(PATIENCE).emitWithAck(event, ...args); }

    async subscribe(...rooms) {
        for (const room of rooms) {
            const answer = await this.ask('subscribe', { room });
            assert.equal(answer?.ok, true, `subscribe ${room}: ${JSON.stringify(answer)}`);
        }
        return this;
    }

    /* Notifications of a room, in the order in which they came. */
    room(room) { return this.received.filter(({ notification }) => notification.rooms.includes(room)); }

    async waitCount(count, timeout = PATIENCE) {
        await eventually(() => this.received.length >= count,
            { timeout, what: () => `${count} notifications, ${this.received.length} came` });
        return this.received;
    }

    disconnect() { this.socket.disconnect(); }
}

/* That a log is exactly first..last, once each and in order; `number` takes the number from an entry. Tells what is
 * missing, double or out of place. */
export function assertConsecutive(log, { first = 1, last, number, what = 'log' }) {
    const numbers = log.map(number);
    const expected = last - first + 1;
    if (numbers.length === expected && numbers.every((n, i) => n === first + i))
        return;
    const seen = new Map();
    numbers.forEach((n) => seen.set(n, (seen.get(n) ?? 0) + 1));
    const missing = [];
    for (let n = first; n <= last; n++)
        if (!seen.has(n))
            missing.push(n);
    const doubled = [...seen].filter(([, count]) => count > 1).map(([n]) => n);
    const alien = [...seen.keys()].filter((n) => !(n >= first && n <= last));
    const unordered = numbers.filter((n, i) => i > 0 && n < numbers[i - 1]);
    const some = (list) => `${list.length}${list.length ? ` (${list.slice(0, 10).join(' ')}${list.length > 10 ? ' …' : ''})` : ''}`;
    assert.fail(`${what}: ${numbers.length} instead of ${expected}; missing ${some(missing)}; doubled ${some(doubled)}; `
        + `out of order ${some(unordered)}; not asked for ${some(alien)}`);
}
