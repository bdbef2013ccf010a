/* More of what the stock JavaScript client makes of the server: trouble. Servers that go and come back, answers that do not
 * come, what is too large, too deep or too many, and what is said while nobody listens. */
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { io } from 'socket.io-client';
import { newLogDirectory, SLOW } from '../integration/lib/places.mjs';
import { freePort } from '../integration/lib/ports.mjs';
import { eventually, sleep } from '../integration/lib/wait.mjs';
import { endWell, startAgain, startEcho } from './lib/echo.mjs';

const LOGS = newLogDirectory('behaviour');
const LIMIT = { timeout: 30000 * SLOW };
const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];
const MAX_PAYLOAD = 100000;
const JSON_DEPTH = 128; // of the echo server
let server, suites;
const open = new Set();

before(async () => {
    const heart = ['--ping-interval', 1000, '--ping-timeout', 20000, '--connect-timeout', 20000, '--max-payload', MAX_PAYLOAD];
    server = await startEcho(path.join(LOGS, 'client-suite.log'), { options: ['--application', 'client-suite', ...heart] });
    suites = await startEcho(path.join(LOGS, 'suites.log'), { port: await freePort(), options: ['--compress', ...heart] });
});
after(async () => {
    await Promise.all([server, suites].filter(Boolean).map(endWell));
});
/* One that goes on trying would keep the program alive. */
afterEach(() => {
    for (const socket of open) {
        socket.io.reconnection(false);
        socket.disconnect();
        socket.io.engine?.close();
    }
    open.clear();
});

function client(transports, url = server.url, options = {}) {
    const socket = io(url, { forceNew: true, transports, reconnectionDelay: 10, reconnectionDelayMax: 100, ...options });
    open.add(socket);
    return socket;
}
/* The arguments of the next such event. */
const next = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
async function connected(...args) {
    const socket = client(...args);
    await next(socket, 'connect');
    return socket;
}
const nested = (depth) => { let value = 1; for (let i = 0; i < depth; i++) value = [value]; return value; };

for (const transports of TRANSPORTS)
    describe(`stock client by ${transports.join(' and ')}`, { timeout: 240000 * SLOW }, () => {
        it('drops what is volatile while it is away, and sends it when it is there', LIMIT, async () => {
            const socket = client(transports, server.url, { autoConnect: false });
            const got = [];
            socket.volatile.emit('echo', 'too early', () => got.push('too early'));
            socket.connect();
            await next(socket, 'connect');
            assert.equal(await socket.emitWithAck('echo', 'sure'), 'sure');
            /* Over polling it is dropped while a POST is under way: it is tried until one passes. */
            await eventually(() => {
                socket.volatile.emit('echo', 'volatile', () => got.push('volatile'));
                return got.includes('volatile');
            });
            assert.ok(!got.includes('too early'));
        });

        it('hears when an answer does not come in time, and takes one that does', LIMIT, async () => {
            const socket = await connected(transports);
            await assert.rejects(socket.timeout(50).emitWithAck('unknown'), /timed out/);
            assert.equal(await socket.timeout(20000).emitWithAck('echo', 42), 42);
            const [error] = await new Promise((resolve) => socket.timeout(50).emit('unknown', (...args) => resolve(args)));
            assert.ok(error instanceof Error);
        });

        it('hears of the answers that it will not get when the connection is lost', LIMIT, async () => {
            const socket = await connected(transports, server.url, { reconnection: false });
            const asked = socket.timeout(20000).emitWithAck('unknown');
            await socket.emitWithAck('echo', 'by now it is out');
            socket.io.engine.close();
            await assert.rejects(asked, /socket has been disconnected/);
            /* What was not sent yet is not lost. */
            const later = socket.timeout(20000).emitWithAck('echo', 'later');
            socket.connect();
            assert.equal(await later, 'later');
        });

        it('repeats what is not answered, in order, and gives up after as many times', LIMIT, async () => {
            const socket = await connected(transports, server.url, { retries: 2, ackTimeout: 300 * SLOW });
            const sent = [];
            socket.onAnyOutgoing((event) => sent.push(event));
            await assert.rejects(socket.emitWithAck('unknown'));
            assert.equal(await socket.emitWithAck('echo', 'behind it'), 'behind it');
            assert.deepEqual(sent.filter((event) => event === 'unknown').length, 3);
        });

        it('repeats after a lost connection what was under way, each in its place', LIMIT, async () => {
            const socket = await connected(transports, server.url, { retries: 10, ackTimeout: 20000 });
            const answers = [];
            const all = Array.from({ length: 20 }, (_, i) => socket.emitWithAck('echo', i).then((answer) => answers.push(answer)));
            await eventually(() => answers.length >= 3);
            socket.io.engine.close();
            await Promise.all(all);
            assert.deepEqual(answers, Array.from({ length: 20 }, (_, i) => i));
        });

        it('sends ten attachments, however deep they lie, and not one more', LIMIT, async () => {
            const socket = await connected(transports);
            const buffers = Array.from({ length: 10 }, (_, i) => Buffer.alloc(i * 50, i));
            const deep = { a: [{ b: { c: buffers.slice(0, 4) } }, buffers.slice(4)], d: 'text', e: null };
            assert.deepEqual(await socket.emitWithAck('echo', deep), deep);
            const lost = next(socket, 'disconnect');
            socket.emit('echo', [...buffers, Buffer.from('eleven')], () => assert.fail('it was answered'));
            assert.equal((await lost)[0], 'transport close');
            await next(socket, 'connect'); // and is welcome again
        });

        it('sends JSON as deep as the limit and no deeper', LIMIT, async () => {
            const socket = await connected(transports);
            const most = nested(JSON_DEPTH - 1); // the event's own array is one
            assert.deepEqual(await socket.emitWithAck('echo', most), most);
            const refused = await socket.emitWithAck('echo', nested(JSON_DEPTH));
            assert.deepEqual([refused.ok, refused.error.code], [false, 'too_deep']);
            socket.emit('message', nested(500));
            assert.equal((await next(socket, 'error'))[0].code, 'too_deep');
            assert.equal(await socket.emitWithAck('echo', 'still here'), 'still here');
        });

        it('is told why before it is closed for what it sent', LIMIT, async () => {
            const socket = await connected(transports);
            const lost = next(socket, 'disconnect');
            const told = next(socket, 'error');
            socket.io._packet({ type: 2, nsp: '/nowhere', data: ['x'] });
            assert.equal((await told)[0].code, 'namespace_not_joined');
            assert.equal((await lost)[0], 'transport close');
        });

        it('sends what is as large as allowed, and loses its connection for more', LIMIT, async () => {
            const socket = await connected(transports);
            if (transports.length > 1)
                await eventually(() => socket.io.engine.transport.name === 'websocket');
            const text = 'x'.repeat(MAX_PAYLOAD - '4210["echo",""]'.length);
            assert.equal(await socket.emitWithAck('echo', text), text);
            const lost = next(socket, 'disconnect');
            socket.emit('echo', `${text}xxx`, () => assert.fail('it was answered'));
            assert.match((await lost)[0], /^transport (close|error)$/);
        });

        it('comes back by itself when the server was killed, and what it said meanwhile arrives once', LIMIT, async () => {
            const socket = await connected(transports, suites.url);
            const { id } = socket;
            const got = [];
            const attempts = [];
            socket.on('message-back', (...args) => got.push(args));
            socket.io.on('reconnect_attempt', (number) => attempts.push(number));
            socket.emit('message', 'before', Buffer.from([1]));
            await eventually(() => got.length === 1);
            const lost = next(socket, 'disconnect');
            await suites.kill();
            assert.match((await lost)[0], /^transport (close|error)$/);
            assert.equal(socket.id, undefined);
            for (let i = 0; i < 5; i++)
                socket.emit('message', i, Buffer.from([i]));
            await eventually(() => attempts.length >= 2);
            const back = [next(socket.io, 'reconnect'), next(socket, 'connect')];
            await startAgain(suites);
            const [[attempt]] = await Promise.all(back);
            assert.equal(attempt, attempts.at(-1));
            assert.notEqual(socket.id, id);
            await eventually(() => got.length === 6);
            await sleep(50); // what came twice would come now
            assert.deepEqual(got, [['before', Buffer.from([1])], ...Array.from({ length: 5 }, (_, i) => [i, Buffer.from([i])])]);
        });

        it('asks its auth function each time it connects', LIMIT, async () => {
            let times = 0;
            const socket = client(transports, suites.url, { auth: (give) => setTimeout(give, 5, { times: ++times }) });
            assert.deepEqual(await next(socket, 'auth'), [{ times: 1 }]);
            socket.io.engine.close();
            assert.deepEqual(await next(socket, 'auth'), [{ times: 2 }]);
            socket.disconnect().connect();
            assert.deepEqual(await next(socket, 'auth'), [{ times: 3 }]);
        });

        it('shows its header fields to the application, with its cookies', LIMIT, async () => {
            const socket = await connected(transports, server.url, { withCredentials: true, extraHeaders: { 'x-socketio': 'yes', cookie: 'a=b; c=d' } });
            const { headers } = await socket.emitWithAck('getHandshake');
            assert.deepEqual([headers['x-socketio'], headers.cookie], ['yes', 'a=b; c=d']);
            assert.equal(headers.host, `127.0.0.1:${server.port}`);
        });

        it('is refused in one namespace, and at home in another of the same connection', LIMIT, async () => {
            const home = await connected(transports);
            const [refused, unknown] = [home.io.socket('/no'), home.io.socket('/nowhere')];
            const [[error], [other]] = await Promise.all([next(refused, 'connect_error'), next(unknown, 'connect_error')]);
            assert.deepEqual([error.message, other.message], ['Auth failed (custom namespace)', 'Invalid namespace']);
            assert.equal(refused.connected || unknown.connected, false);
            assert.equal(await home.emitWithAck('echo', 'still here'), 'still here');
        });

        it('connects to a namespace while it leaves another', LIMIT, async () => {
            const foo = await connected(transports, `${server.url}/foo`);
            const asd = foo.io.socket('/asd');
            foo.disconnect();
            await next(asd, 'connect');
            assert.equal(await asd.emitWithAck('getId'), asd.id);
        });

        it('is the only user of its connection if another has a query of its own', LIMIT, async () => {
            const options = { forceNew: false, multiplex: true };
            const one = await connected(transports, server.url, { ...options, query: { number: 1 } });
            const two = await connected(transports, server.url, { ...options, query: { number: 2 } });
            assert.notEqual(one.io, two.io);
            const queries = await Promise.all([one, two].map((socket) => socket.emitWithAck('getHandshake')));
            assert.deepEqual(queries.map(({ query }) => query.number), ['1', '2']);
        });

        it('is told what is wrong with a path that nobody serves', LIMIT, async () => {
            const socket = client(transports, server.url, { path: '/elsewhere', reconnection: false });
            const [error] = await next(socket, 'connect_error');
            assert.match(error.message, transports[0] === 'polling' ? /xhr poll error/ : /websocket error/);
            if (transports[0] === 'polling')
                assert.equal(error.description, 404);
        });
    });

it('the option `protocols` is taken: without an answer to it a WebSocket would not open', LIMIT, async () => {
    const socket = await connected(['websocket'], server.url, { protocols: ['first', 'second'], reconnection: false });
    assert.equal(socket.io.engine.transport.ws.protocol, 'first');
});

for (const transports of [['websocket'], ['polling', 'websocket']])
    it(`attachments are text for who asks for b64, by ${transports.join(' and ')}`, LIMIT, async () => {
        const socket = await connected(transports, server.url, { query: { b64: 1 } });
        await eventually(() => socket.io.engine.transport.name === 'websocket');
        const frames = [];
        socket.io.engine.transport.ws.addEventListener('message', ({ data }) => frames.push(data));
        const sent = [Buffer.from([1, 2, 3]), Buffer.from('four')];
        assert.deepEqual(await socket.emitWithAck('echo', sent), sent);
        assert.deepEqual(frames.filter((data) => data[0] === 'b'), sent.map((data) => `b${data.toString('base64')}`));
    });

it('a client of an older protocol is told so', LIMIT, async () => {
    const answer = await fetch(`${server.url}/socket.io/?EIO=3&transport=polling`);
    assert.equal(answer.status, 400);
    assert.deepEqual(await answer.json(), { code: 5, message: 'Unsupported protocol version' });
});

/* One request, with its answer as it came over the wire. */
function ask(target, { body, headers } = {}) {
    return new Promise((resolve, reject) => {
        const request = http.request(suites.url + target, { method: body === undefined ? 'GET' : 'POST', headers }, (answer) => {
            const chunks = [];
            answer.on('data', (chunk) => chunks.push(chunk)).on('error', reject)
                .on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(chunks) }));
        });
        request.on('error', reject).end(body);
    });
}

describe('poll answers', { timeout: 240000 * SLOW }, () => {
    for (const [what, size, accept, compressed] of [
        ['a long one', 50000, 'gzip, deflate', true], ['a long one that may not be compressed', 50000, undefined, false],
        ['a long one for who wants another encoding', 50000, 'br;q=1, gzip;q=0', false], ['a short one', 100, 'gzip', false],
    ])
        it(`${what} is ${compressed ? '' : 'not '}compressed`, LIMIT, async () => {
            const poll = '/socket.io/?EIO=4&transport=polling';
            const { sid } = JSON.parse((await ask(poll)).body.subarray(1));
            const headers = accept ? { 'accept-encoding': accept } : {};
            await ask(`${poll}&sid=${sid}`, { body: '40' });
            await ask(`${poll}&sid=${sid}`);
            const text = `\u{1f600}${'a long text '.repeat(size / 12)}`;
            await ask(`${poll}&sid=${sid}`, { body: `42["message",${JSON.stringify(text)}]` });
            const answer = await ask(`${poll}&sid=${sid}`, { headers });
            assert.equal(answer.headers['content-encoding'], compressed ? 'gzip' : undefined);
            assert.equal(Number(answer.headers['content-length']), answer.body.length);
            const body = compressed ? gunzipSync(answer.body) : answer.body;
            assert.equal(body.toString(), `42["message-back",${JSON.stringify(text)}]`);
            assert.ok(!compressed || answer.body.length < size / 10);
        });
});
