/* Clients of the raw WebSocket and of server-sent events, written as their authors would: on `ws` and `eventsource` as
 * they come from npm. What they receive looks as with lib/client.mjs. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { EventSource } from 'eventsource';
import protobuf from 'protobufjs';
import { WebSocket } from 'ws';
import { decodeNotification } from './backend.mjs';
import { EVENTS } from './client.mjs';
import { SOURCE_DIR } from './places.mjs';
import { eventually, PATIENCE, within } from './wait.mjs';

let types;
const type = (name) => (types ??= protobuf.loadSync(path.join(SOURCE_DIR, 'proto/client.proto'))).lookupType(`smartstack.v1.${name}`);

const codecs = {
    'smartstack.v1.json': {
        encode: (message) => JSON.stringify(message),
        decode: (data, binary) => {
            assert.equal(binary, false);
            return JSON.parse(data.toString());
        },
    },
    'smartstack.v1.protobuf': {
        encode: ({ type: name, id, ...content }) => type('ClientMessage').encode(
            type('ClientMessage').fromObject({ id, [name]: content })).finish(),
        decode: (data, binary) => {
            assert.equal(binary, true);
            const message = type('ServerMessage').decode(data);
            const content = message.content ? message[message.content] : {};
            const { cursor, id } = message;
            if (message.content === 'notification') {
                const notification = decodeNotification(content);
                const { taskStatus, customEvent } = notification;
                if (customEvent) // as the others have it
                    return { type: 'notification', event: customEvent.event, data: JSON.parse(customEvent.data ?? 'null'), cursor };
                if (taskStatus)
                    taskStatus.data = JSON.parse(taskStatus.data);
                return { type: 'notification', event: taskStatus ? 'task.status' : 'other', data: notification, cursor };
            }
            const name = message.content?.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) ?? 'cursor';
            const plain = type('ServerMessage').toObject(message, { longs: Number })[message.content] ?? {};
            return { type: name, id: Number(id), cursor, ...(name === 'error' ? { error: plain } : plain) };
        },
    },
};

/* One that returns by itself, with its session and cursor, until it is closed. */
export class WebSocketClient {
    constructor(url, { protocol = 'smartstack.v1.json', token, connect = {}, headers, query = '', resume = true } = {}) {
        Object.assign(this, { url: `${url.replace('http', 'ws')}/ws${query}`, protocol, token, more: connect, headers, resume });
        this.codec = codecs[protocol];
        this.received = [];
        this.messages = []; // all others
        this.welcomes = [];
        this.closes = [];
        this.waiting = new Map();
        this.lastId = 0;
        this.open = true;
    }

    start() {
        this.socket = new WebSocket(this.url, this.protocol, { headers: this.headers });
        this.socket.on('open', () => {
            const { session, cursor } = this;
            this.send({ type: 'connect', token: this.token, ...this.more, ...(session && this.resume ? { session, cursor } : {}) });
        });
        this.socket.on('message', (data, binary) => this.take(this.codec.decode(data, binary)));
        this.socket.on('error', (error) => { this.error = error; });
        this.socket.on('close', (code, reason) => {
            this.closes.push({ code, reason: reason.toString() });
            this.waiting.forEach(({ reject }) => reject(new Error(`closed: ${code} ${reason}`)));
            this.waiting.clear();
            if (this.open && code !== 4401 && code !== 4403 && code !== 1008)
                setTimeout(() => this.open && this.start(), 100);
        });
        return this;
    }

    send(message) {
        const clean = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined));
        this.socket.send(this.codec.encode(clean));
    }

    take(message) {
        if (message.cursor)
            this.cursor = message.cursor;
        if (message.type === 'notification') {
            this.received.push({ event: message.event, notification: message.data, cursor: message.cursor });
            return;
        }
        if (message.type === 'welcome') {
            this.session = message.session;
            this.welcomes.push(message);
        }
        this.messages.push(message);
        const waiting = message.id && this.waiting.get(message.id);
        if (waiting) {
            this.waiting.delete(message.id);
            waiting.resolve(message);
        }
    }

    async connect() {
        const before = this.welcomes.length;
        this.start();
        await eventually(() => this.welcomes.length > before || this.closes.length, { what: () => `a welcome, ${this.error ?? 'none'}` });
        assert.equal(this.welcomes.length, before + 1, `no welcome: ${JSON.stringify(this.closes)}`);
        return this;
    }

    /* The answer, whatever it is. */
    async ask(message) {
        const id = ++this.lastId;
        assert.equal(this.socket.readyState, WebSocket.OPEN, 'no connection'); // ws drops what is sent after its end
        const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
        this.send({ ...message, id });
        return within(PATIENCE, answer, `an answer to ${message.type}`);
    }

    async subscribe(...rooms) {
        const answer = await this.ask({ type: 'subscribe', rooms });
        assert.equal(answer.type, 'ack', JSON.stringify(answer));
        return this;
    }

    kinds() { return this.messages.map(({ type: kind }) => kind); }

    disconnect() {
        this.open = false;
        this.socket.close(1000);
    }
}

/* The stock EventSource, which returns by itself. */
export class EventClient {
    /* `names`: of events beside our own. */
    constructor(url, { rooms = [], token, query = '', headers = {}, names = [] } = {}) {
        const room = rooms.map((name) => `room=${encodeURIComponent(name)}`).join('&');
        this.received = [];
        this.sessions = [];
        this.events = [];
        this.errors = [];
        this.requests = [];
        this.source = new EventSource(`${url}/sse?${room}${query}`, {
            fetch: (input, init) => {
                const all = { ...init.headers, ...headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
                this.requests.push(all);
                return fetch(input, { ...init, headers: all });
            },
        });
        this.source.addEventListener('error', ({ code, message }) => this.errors.push({ code, message }));
        for (const event of [...EVENTS, ...names])
            this.source.addEventListener(event, ({ data, lastEventId }) => this.received.push({ event, notification: JSON.parse(data), cursor: lastEventId }));
        for (const event of ['session', 'unsubscribed', 'stale', 'live', 'token_expired', 'unavailable']) {
            this.source.addEventListener(event, ({ data, lastEventId }) => {
                this.events.push({ event, data: JSON.parse(data), cursor: lastEventId });
                if (event === 'session')
                    this.sessions.push(JSON.parse(data));
            });
        }
    }

    async connect() {
        await eventually(() => this.sessions.length || this.source.readyState === 2, { what: () => `a session: ${JSON.stringify(this.errors)}` });
        assert.equal(this.sessions.length, 1, JSON.stringify(this.errors));
        return this;
    }

    disconnect() { this.source.close(); }
}

/* An address that stays while gateways come and go: TCP to the one that is named last. */
export class Switch {
    static async open(port) {
        const own = new Switch();
        own.sockets = new Set();
        own.server = net.createServer((socket) => {
            const onward = net.connect(own.target, '127.0.0.1');
            for (const [from, to] of [[socket, onward], [onward, socket]]) {
                own.sockets.add(from);
                from.on('data', (data) => to.write(data));
                from.on('error', () => to.destroy());
                from.on('close', () => { own.sockets.delete(from); to.destroy(); });
                from.on('end', () => to.end());
            }
        });
        own.server.listen(port, '127.0.0.1');
        await once(own.server, 'listening');
        own.url = `http://127.0.0.1:${port}`;
        return own;
    }

    to(gateway) { this.target = Number(new URL(gateway.url).port); }

    close() {
        this.server.close();
        this.sockets.forEach((socket) => socket.destroy());
    }
}
