/* What a protocol test needs of a client: plain HTTP requests and a WebSocket whose frames and end can be awaited.
 * It is not a Socket.IO client: nothing here knows a packet, so nothing here can hide one. */
import http from 'node:http';
import { after, afterEach } from 'node:test';
import { WebSocket } from 'ws';

/* The server under test, from the environment (see `run`). */
export const server = {
    host: process.env.CONFORMANCE_HOST ?? '127.0.0.1',
    port: Number(process.env.CONFORMANCE_PORT ?? 3000),
    pingInterval: Number(process.env.CONFORMANCE_PING_INTERVAL ?? 300),
    pingTimeout: Number(process.env.CONFORMANCE_PING_TIMEOUT ?? 200),
    maxPayload: Number(process.env.CONFORMANCE_MAX_PAYLOAD ?? 1000000),
};

/* How long a test may take: most, and those that wait for heartbeats. */
const HEARTBEAT_MS = server.pingInterval + server.pingTimeout;
export const BRIEF = { timeout: Number(process.env.CONFORMANCE_TIMEOUT ?? Math.max(2000, 2 * HEARTBEAT_MS)) };
export const PATIENT = { timeout: Math.max(5000, 2.5 * BRIEF.timeout) };

/* Connections are kept and used again by later tests, as a browser does: a server must not answer one test's request
 * with what another left behind. */
const agent = new http.Agent({ keepAlive: process.env.CONFORMANCE_KEEP_ALIVE !== '0' });
const open = new Set();

afterEach(() => {
    for (const socket of open)
        socket.terminate();
    open.clear();
});
after(() => agent.destroy());

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* One request. Resolves to {status, headers, body} when the whole answer is there, rejects if the connection fails. */
export function request(method, target, { body, headers, signal } = {}) {
    return new Promise((resolve, reject) => {
        const outgoing = http.request(
            { host: server.host, port: server.port, path: target, method, headers: { ...headers }, signal, agent },
            (answer) => {
                const chunks = [];
                answer.on('data', (chunk) => chunks.push(chunk));
                answer.on('error', reject);
                answer.on('end', () => {
                    resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString('utf8') });
                });
            });
        outgoing.on('error', reject);
        if (body !== undefined)
            outgoing.setHeader('Content-Type', 'text/plain;charset=UTF-8').setHeader('Content-Length', Buffer.byteLength(body));
        else if (method !== 'GET')
            outgoing.setHeader('Content-Length', 0);
        outgoing.end(body);
    });
}

/* A WebSocket with a queue of frames: what arrives before it is asked for is kept. Text frames are strings, binary
 * ones Buffers. */
export class Peer {
    #frames = [];
    #readers = [];
    #opened;
    #closed;

    constructor(target, headers = {}) {
        this.socket = new WebSocket(`ws://${server.host}:${server.port}${target}`, { headers });
        open.add(this.socket);
        this.#opened = new Promise((resolve) => this.socket.once('open', resolve));
        this.#closed = new Promise((resolve) => this.socket.once('close', (code) => resolve(code)));
        this.socket.on('error', () => {}); // a refusal is a close for these tests
        this.socket.on('message', (data, isBinary) => {
            const frame = isBinary ? Buffer.from(data) : data.toString('utf8');
            const reader = this.#readers.shift();
            if (reader)
                reader(frame);
            else
                this.#frames.push(frame);
        });
    }

    opened() { return this.#opened; }
    closed() { return this.#closed; }
    send(...frames) { frames.forEach((frame) => this.socket.send(frame)); }
    close() { this.socket.close(); }

    next() {
        if (this.#frames.length)
            return Promise.resolve(this.#frames.shift());
        return new Promise((resolve) => this.#readers.push(resolve));
    }

    /* The next `count` frames that are no pings. */
    async nextBesidesPings(count) {
        const frames = [];
        while (frames.length < count) {
            const frame = await this.next();
            if (frame !== '2')
                frames.push(frame);
        }
        return frames;
    }
}
