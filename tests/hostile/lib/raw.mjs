/* A bare TCP connection to the server under test, and the bytes of requests and frames: nothing here keeps an input from
 * being wrong. */
import net from 'node:net';
import { PATIENCE, sleep } from '../../integration/lib/wait.mjs';

export class Raw {
    constructor(port) {
        this.received = Buffer.alloc(0);
        this.closed = false;
        this.waiting = new Set();
        this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
        this.socket.on('data', (data) => {
            this.received = Buffer.concat([this.received, data]);
            this.#wake();
        });
        this.socket.on('end', () => this.#close());
        this.socket.on('close', () => this.#close());
        this.socket.on('error', () => this.#close());
    }

    #close() {
        this.closed = true;
        this.#wake();
    }

    #wake() {
        for (const waiter of this.waiting)
            waiter();
    }

    /* Whether the condition holds before the time is over. */
    async until(condition, ms) {
        if (condition())
            return true;
        return new Promise((resolve) => {
            const finish = (result) => {
                clearTimeout(timer);
                this.waiting.delete(check);
                resolve(result);
            };
            const check = () => condition() && finish(true);
            const timer = setTimeout(finish, ms, false);
            this.waiting.add(check);
        });
    }

    write(data) {
        if (!this.closed && this.socket.writable)
            this.socket.write(data);
        return this;
    }

    /* In up to `most` pieces. */
    async writePieces(data, random, most) {
        const count = Math.min(most, Math.max(1, data.length));
        const cuts = Array.from({ length: count - 1 }, () => random.integer(0, data.length + 1)).sort((a, b) => a - b);
        for (const [i, end] of [...cuts, data.length].entries()) {
            this.write(data.subarray(i ? cuts[i - 1] : 0, end));
            if (i < cuts.length)
                await sleep(1);
        }
    }

    ended(ms) { return this.until(() => this.closed, ms); }
    text() { return this.received.toString('latin1'); }
    /* The status codes of all answers so far: an answer begins a line of its own, or follows a body. */
    codes() { return [...this.text().matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1])); }
    answered(count, ms) { return this.until(() => this.closed || this.codes().length >= count, ms); }

    /* Ends the connection: by a FIN, or by a reset as when a process dies. */
    finish() { this.socket.end(); return this; }
    destroy() { this.socket.destroy(); }
    reset() { this.closed || this.socket.connecting ? this.socket.destroy() : this.socket.resetAndDestroy(); }
}

/* What the inputs know of the server under test: the echo server, unless a test says otherwise. */
export const target = {
    paths: ['/engine.io/', '/socket.io/'], // where WebSockets go
    polls: ['/engine.io/', '/socket.io/'],
    bare: '/engine.io/', // the one of them with the least between a frame and its answer
    connect: '40', connected: '["auth"', // CONNECT at /socket.io/, and what shows that it was taken
    ask: '4end', answer: '4end', // at `bare`
    noise: () => frame(1, `4${'x'.repeat(500000)}`), // what the server answers with as much, at `bare`
    hello: undefined, // the first message at /ws
};

export const QUERY = 'EIO=4&transport=polling';

export function request(method, target, { fields = [], body, host = 'x' } = {}) {
    const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...fields];
    if (body !== undefined)
        lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body ?? '')]);
}

export const poll = (path, sid) => request('GET', `${path}?${QUERY}${sid ? `&sid=${sid}` : ''}`);
export const post = (path, sid, body) => request('POST', `${path}?${QUERY}&sid=${sid}`, { body });
export const upgrade = (path, sid, more = []) => request('GET', `${path}?EIO=4&transport=websocket${sid ? `&sid=${sid}` : ''}`, {
    fields: ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', ...more],
});

/* A polling session; null if the server refuses one. */
export async function openPolling(port, path) {
    const raw = new Raw(port).write(poll(path));
    await raw.answered(1, PATIENCE);
    const sid = raw.text().match(/"sid":"([^"]+)"/)?.[1];
    raw.received = Buffer.alloc(0);
    return { raw, sid };
}

/* A WebSocket behind its handshake and, at /socket.io/ and /ws, its first message and the answer to that. */
export async function openWebSocket(port, path, subprotocol = 'smartstack.v1.json') {
    const raw = new Raw(port);
    const shows = (text) => raw.until(() => raw.closed || raw.text().includes(text), PATIENCE);
    if (path === '/ws') {
        raw.write(upgrade(path, undefined, [`Sec-WebSocket-Protocol: ${subprotocol}`]));
        await shows('\r\n\r\n');
        if (subprotocol === 'smartstack.v1.json') {
            raw.write(frame(1, target.hello));
            await shows('"welcome"');
        }
    } else {
        raw.write(upgrade(path));
        await shows('maxPayload');
        if (path === '/socket.io/') {
            raw.write(frame(1, target.connect));
            await shows(target.connected);
        }
    }
    raw.received = Buffer.alloc(0);
    return raw;
}

/* ---- Frames ---- */

export function frame(opcode, payload, { fin = true, reserved = 0, masked = true, length, wide } = {}) {
    const data = Buffer.from(payload);
    const announced = BigInt(length ?? data.length);
    const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
    const mask = masked ? 0x80 : 0;
    if (wide === 8 || announced > 0xffffn)
        head.push(mask | 127, ...Array.from({ length: 8 }, (_, i) => Number((announced >> BigInt(56 - 8 * i)) & 0xffn)));
    else if (wide === 2 || announced > 125n)
        head.push(mask | 126, Number(announced >> 8n), Number(announced & 0xffn));
    else
        head.push(mask | Number(announced));
    if (!masked)
        return Buffer.concat([Buffer.from(head), data]);
    const key = [0x12, 0xa7, 0x03, 0xfe];
    const body = Buffer.from(data.map((byte, i) => byte ^ key[i % 4]));
    return Buffer.concat([Buffer.from([...head, ...key]), body]);
}

/* The code of the close frame that the server sent as its last; undefined: none. */
export function closeCode(received) {
    for (let at = 0; at + 2 <= received.length;) {
        const opcode = received[at] & 0x0f;
        let size = received[at + 1] & 0x7f;
        let head = 2;
        if (size === 126)
            [size, head] = [received.readUInt16BE(at + 2), 4];
        else if (size === 127)
            [size, head] = [Number(received.readBigUInt64BE(at + 2)), 10];
        if (opcode === 8)
            return size >= 2 ? received.readUInt16BE(at + head) : 1005;
        at += head + size;
    }
    return undefined;
}
