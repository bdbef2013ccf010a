/* Clients of all transports whom orders of the backend name: stock ones, each with a user, a token and a session of its own, in one room. */
import http from 'node:http';
import { Client, token } from '../../integration/lib/client.mjs';
import { EventClient, WebSocketClient } from '../../integration/lib/streams.mjs';
import { eventually } from '../../integration/lib/wait.mjs';
import { SECRET } from '../../integration/lib/world.mjs';

export const KINDS = ['websocket', 'raw', 'both', 'websocket', 'protobuf', 'polling', 'websocket', 'raw', 'sse', 'websocket'];
const TENANT = 'acme';

/* What it is told, and when: `ended` and `left` are moments (Date.now()) or undefined; `lateDeliveries` came of its room after it
 * was told that it is out; `cuts` are losses of its connection, `swept` whether one came without a word; `code` is why it was refused or ended. */
class Subject {
    constructor(i, rooms) {
        Object.assign(this, { i, user: `subject-${i}`, jti: `token-${i}`, room: `task:r${i % rooms}`, kind: KINDS[i % KINDS.length], cuts: [], swept: false, lateDeliveries: 0, deliveries: 0, connects: 0 });
        this.token = token({ sub: this.user, tenant: TENANT, jti: this.jti, iat: Math.floor(Date.now() / 1000) }, SECRET);
    }

    /* Whom an order names: of each third by another name. */
    get name() { return [{ user: this.user }, { session: this.sid }, { token: this.jti }][this.i % 3]; }

    took({ notification }) {
        this.deliveries++;
        if (this.left && notification.rooms.includes(this.room))
            this.lateDeliveries++;
    }

    told(room) {
        if (room === this.room)
            this.left ??= Date.now();
    }

    cut(told) {
        this.cuts.push(Date.now());
        this.swept ||= !told;
    }
}

class SocketioSubject extends Subject {
    async open(url) {
        const transports = { websocket: ['websocket'], polling: ['polling'], both: ['polling', 'websocket'] }[this.kind];
        this.client = new Client(url, { auth: { token: this.token }, options: {
            transports, agent: new http.Agent({ keepAlive: false }), reconnectionDelay: 100, reconnectionDelayMax: 1000, timeout: 20000 } });
        const { socket } = this.client;
        this.client.keep = false;
        this.client.listeners.add((entry) => this.took(entry));
        socket.on('unsubscribed', ({ room }) => this.told(room));
        socket.on('error', ({ code }) => { this.code = code; });
        socket.on('connect', () => { this.connects++; this.sid = socket.id; });
        socket.on('disconnect', () => { this.cut(this.code !== undefined); if (!socket.active) this.ended ??= Date.now(); });
        socket.on('connect_error', ({ data }) => { if (!socket.active) { this.code = data?.code; this.ended ??= Date.now(); } });
        socket.connect();
        await eventually(() => socket.connected || this.ended, { timeout: 60000, what: `subject ${this.i} (${this.kind})` });
        return this;
    }

    async join() { return (await this.client.ask('subscribe', { room: this.room })).error?.code ?? 'ok'; }
    get connected() { return this.client.socket.connected; }
    close() { this.client.disconnect(); }
}

class RawSubject extends Subject {
    async open(url) {
        this.client = new WebSocketClient(url, { token: this.token, protocol: this.kind === 'raw' ? 'smartstack.v1.json' : 'smartstack.v1.protobuf' });
        const { client } = this, take = client.take.bind(client);
        client.take = (message) => {
            take(message);
            if (message.type === 'notification')
                this.took(client.received.pop());
            else if (message.type === 'unsubscribed')
                this.told(message.room);
            else if (message.type === 'welcome') {
                this.connects++;
                this.sid = message.sid;
            }
        };
        client.closes.push = (close) => {
            this.cut(close.code === 4403);
            if (close.code === 4403) {
                this.code = close.reason;
                this.ended ??= Date.now();
            }
            return Array.prototype.push.call(client.closes, close);
        };
        client.start();
        await eventually(() => this.connects || this.ended, { timeout: 60000, what: `subject ${this.i} (${this.kind})` });
        return this;
    }

    async join() { return (await this.client.ask({ type: 'subscribe', rooms: [this.room] })).error?.code ?? 'ok'; }
    get connected() { return this.client.socket.readyState === 1; }
    close() { this.client.disconnect(); }
}

class EventSubject extends Subject {
    async open(url) {
        this.client = new EventClient(url, { token: this.token, rooms: [this.room] });
        const { source } = this.client;
        for (const event of ['task.status', 'notification', 'review.alert'])
            source.addEventListener(event, () => this.took(this.client.received.pop()));
        source.addEventListener('unsubscribed', ({ data }) => this.told(JSON.parse(data).room));
        source.addEventListener('unavailable', ({ data }) => { this.code = JSON.parse(data).error.code; if (this.code === 'disconnected') this.ended ??= Date.now(); });
        source.addEventListener('session', ({ data }) => { this.connects++; this.sid = JSON.parse(data).sid; });
        source.addEventListener('error', () => { this.cut(this.code === 'disconnected'); if (source.readyState === 2) this.ended ??= Date.now(); });
        await eventually(() => this.connects || source.readyState === 2, { timeout: 60000, what: `subject ${this.i} (sse)` });
        return this;
    }

    async join() { return 'ok'; } // its room is in its address
    get connected() { return this.client.source.readyState === 1; }
    close() { this.client.disconnect(); }
}

export function newSubject(i, rooms, kind = KINDS[i % KINDS.length]) {
    const Kind = kind === 'sse' ? EventSubject : kind === 'raw' || kind === 'protobuf' ? RawSubject : SocketioSubject;
    return Object.assign(new Kind(i, rooms), { kind });
}

/* The topic of orders: each is a record of its own. */
export class Orders {
    static async open(world, topic) {
        const orders = new Orders();
        orders.topic = topic;
        orders.producer = world.broker.kafka('orders').producer({ allowAutoTopicCreation: false });
        await orders.producer.connect();
        world.backends.push(orders);
        return orders;
    }

    disconnect() { return this.producer.disconnect(); }

    async write(orders) {
        const messages = orders.map(({ order, room, ...whom }) => {
            const [by, id] = Object.entries(whom)[0];
            return { key: JSON.stringify([TENANT, by, id, ...(room ? ['room', room] : [order])]), value: JSON.stringify({ order, tenant: TENANT, ...whom, ...(room ? { room } : {}) }) };
        });
        await this.producer.send({ topic: this.topic, acks: -1, messages });
    }
}
