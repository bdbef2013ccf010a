/* Tokens over the stock client: refused with a word, expired and taken anew, and keys that rotate at their URL. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';
import { Client, token } from './lib/client.mjs';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, World } from './lib/world.mjs';

const later = (seconds) => Math.floor(Date.now() / 1000) + seconds;
const claims = (more = {}) => ({ sub: 'usr_test', tenant: 'acme', exp: later(3600), ...more });
const signed = (more) => token(claims(more), SECRET);

/* A client whose every CONNECT brings what `give` returns then. */
function client(t, gateway, give, options = {}) {
    const made = new Client(gateway.url, { auth: (set) => set({ token: give() }), options });
    t.after(() => made.disconnect());
    made.disconnects = [];
    made.socket.on('disconnect', (reason) => made.disconnects.push(reason));
    return made;
}

/* The refusal's code; a client that is let in fails the test. */
async function refusal(t, gateway, given) {
    const made = client(t, gateway, () => given);
    const [error] = await Promise.all([
        Promise.race([once(made.socket, 'connect_error').then(([what]) => what), once(made.socket, 'connect').then(() => assert.fail('let in'))]),
        made.socket.connect(),
    ]);
    return error.data?.code;
}

test('tokens: one that expires is told and taken anew; who has none returns with the next', { timeout: 120000 * SLOW }, async (t) => {
    const grace = 2000 * SLOW;
    const world = await World.open(t, 'tokens-expiry', { broker: 'embedded', settings: { gateway: { token: { expiry_grace: `${grace}ms`, leeway: '0s' } } } });
    const gateway = await world.gateway();
    const soon = () => signed({ exp: later(2 * SLOW) }); // long enough to connect with it
    const keen = client(t, gateway, soon);
    const polling = client(t, gateway, soon, { transports: ['polling'] });
    let lazyConnects = 0;
    const lazy = client(t, gateway, () => (lazyConnects++ ? signed() : soon()));
    const told = [keen, polling].map((one) => once(one.socket, 'token_expired'));
    await Promise.all([keen, polling, lazy].map((one) => one.connect()));
    await Promise.all([keen, polling].map(async (one, i) => {
        const [news] = await told[i];
        assert.deepEqual(news, { graceMs: grace });
        assert.equal((await one.ask('token', signed({ sub: 'somebody else' }))).error.code, 'other_principal');
        assert.deepEqual(await one.ask('token', { token: signed() }), { ok: true });
    }));
    await eventually(() => lazy.disconnects.length, { what: 'the end of who brings none' });
    await eventually(() => lazy.socket.connected, { what: 'its return' });
    assert.equal(lazy.socket.recovered, true);
    await sleep(500); // the others, whose grace began no later, stay
    assert.deepEqual([keen.disconnects, polling.disconnects, lazy.disconnects.length], [[], [], 1]);
});

test('tokens: what is wrong with one is told', { timeout: 60000 * SLOW }, async (t) => {
    const world = await World.open(t, 'tokens-refused', { broker: 'embedded', settings: { gateway: { token: { issuer: 'us', audience: 'them', leeway: '0s' } } } });
    const gateway = await world.gateway();
    const right = { iss: 'us', aud: ['others', 'them'] };
    await client(t, gateway, () => signed(right)).connect();
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims(right))).toString('base64url')}.`;
    const wrong = {
        none: undefined, garbage: 'x', unsigned, foreign: token(claims(right), `${SECRET}!`), expired: signed({ ...right, exp: later(-5) }),
        early: signed({ ...right, nbf: later(600) }), issuer: signed({ ...right, iss: 'them' }), audience: signed({ ...right, aud: 'us' }),
        endless: token({ sub: 'x', ...right, exp: undefined }, SECRET), number: 17, huge: 'a'.repeat(100000),
    };
    for (const [what, given] of Object.entries(wrong))
        assert.match(await refusal(t, gateway, given) ?? '', /^[a-z_]+$/, what);
    assert.equal(await refusal(t, gateway, wrong.expired), 'token_expired');
    assert.equal(await world.metric(gateway, 'smartstack_gateway_refusals_total{reason="token_expired"}'), 2);
    assert.match(gateway.text(), /client refused.*token_expired/);
    assert.doesNotMatch(gateway.text(), new RegExp(wrong.expired.split('.')[1]));
});

/* So that bad signatures cannot cost the loop: the event loop of everybody. */
test('tokens: who brings bad ones again and again is closed', { timeout: 60000 * SLOW }, async (t) => {
    const world = await World.open(t, 'tokens-again', { broker: 'embedded', settings: { gateway: { token: { refusals: 3 } } } });
    const gateway = await world.gateway();
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    const heard = [];
    socket.on('message', (data) => {
        heard.push(String(data).slice(0, 2));
        socket.send('40{"token":"x"}');
    });
    const [code, reason] = await once(socket, 'close');
    assert.deepEqual([code, String(reason)], [1008, 'too_many_refusals']);
    assert.deepEqual(heard, ['0{', '44', '44', '44']);
    assert.equal(await world.metric(gateway, 'smartstack_gateway_refusals_total{reason="too_many_refusals"}'), 1);
});

/* A server of keys; `keys` are those that it shows. */
async function openKeyServer(t) {
    const server = http.createServer((request, response) => {
        server.reads++;
        response.writeHead(server.broken ? 500 : 200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ keys: server.keys.map(({ name, pair }) => ({ ...pair.publicKey.export({ format: 'jwk' }), kid: name, use: 'sig' })) }));
    });
    const port = await freePort();
    Object.assign(server, { keys: [], reads: 0, broken: false, url: `http://127.0.0.1:${port}/keys` });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return server;
}

const newKey = (name) => ({ name, pair: crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }) });
function signedBy({ name, pair }, more) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const body = `${part({ alg: 'ES256', typ: 'JWT', kid: name })}.${part(claims(more))}`;
    return `${body}.${crypto.sign('sha256', Buffer.from(body), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

test('tokens: keys at a URL rotate without a restart', { timeout: 120000 * SLOW }, async (t) => {
    const keys = await openKeyServer(t);
    const [old, next] = [newKey('old'), newKey('next')];
    keys.keys = [old];
    const world = await World.open(t, 'tokens-jwks', { broker: 'embedded', settings: { gateway: {
        token: { secret: undefined, algorithm: 'ES256', jwks_url: keys.url, refresh: '2s', refetch: '1s' },
    } } });
    const gateway = await world.gateway();
    const began = performance.now();
    const staying = await client(t, gateway, () => signedBy(old)).connect();
    keys.keys = [old, next];
    await client(t, gateway, () => signedBy(next)).connect(); // read again for it, or with the next round
    keys.broken = true; // the keys it has go on
    await sleep(2500);
    await client(t, gateway, () => signedBy(next)).connect();
    keys.broken = false;
    keys.keys = [next];
    await eventually(async () => (await refusal(t, gateway, signedBy(old))) !== undefined, { timeout: 20000 * SLOW, what: 'the old key to be forgotten' });
    assert.deepEqual(staying.disconnects, []);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(keys.reads < 10 + 2 * seconds, `${keys.reads} reads in ${seconds} s`); // each refusal would have been one, 40 a second
});

test('tokens: SIGHUP reads the keys again', { timeout: 120000 * SLOW }, async (t) => {
    const keys = await openKeyServer(t);
    const [old, next] = [newKey('old'), newKey('next')];
    keys.keys = [old];
    const world = await World.open(t, 'tokens-sighup', { broker: 'embedded', settings: { gateway: {
        token: { secret: undefined, algorithm: 'ES256', jwks_url: keys.url, refresh: '24h', refetch: '1h' },
    } } });
    const gateway = await world.gateway();
    await client(t, gateway, () => signedBy(old)).connect();
    keys.keys = [next];
    const before = keys.reads;
    gateway.signal('SIGHUP');
    await eventually(() => keys.reads > before, { timeout: 20000 * SLOW, what: 'the keys to be read again' });
    await client(t, gateway, () => signedBy(next)).connect();
});

/* How stock clients of each transport are received who bring this token, or these fields of the handshake: `in`, or the code of their refusal. */
const received = {
    polling: (t, gateway, how) => socketio(t, gateway, how, 'polling'),
    websocket: (t, gateway, how) => socketio(t, gateway, how, 'websocket'),
    async json(t, gateway, { given, headers }) {
        const made = new WebSocketClient(gateway.url, { token: given, headers }).start();
        t.after(() => made.disconnect());
        await eventually(() => made.welcomes.length || made.closes.length, { what: () => `an answer, ${made.error ?? 'none'}` });
        made.open = false;
        return made.welcomes.length ? 'in' : made.error?.message ?? made.closes[0].reason;
    },
    async events(t, gateway, { given, headers }) {
        const source = new EventSource(`${gateway.url}/sse`, {
            fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers, ...(given ? { Authorization: `Bearer ${given}` } : {}) } }),
        });
        const [kind, event] = await Promise.race(['session', 'unavailable', 'error'].map(async (name) => [name, await new Promise((resolve) => source.addEventListener(name, resolve))]));
        source.close();
        return kind === 'session' ? 'in' : event.code ?? JSON.parse(event.data).reason;
    },
};

async function socketio(t, gateway, { given, headers }, transport) {
    const made = new Client(gateway.url, { auth: given ? { token: given } : {}, options: { transports: [transport], extraHeaders: headers, reconnection: false } });
    t.after(() => made.disconnect());
    const [code] = await Promise.all([
        Promise.race([once(made.socket, 'connect').then(() => 'in'),
            once(made.socket, 'connect_error').then(([error]) => error.data?.code ?? `${error.message} ${error.description?.message ?? error.description}`)]),
        made.socket.connect(),
    ]);
    return code;
}

test('tokens: two issuers side by side, each with its key, its algorithm and its tenants', { timeout: 120000 * SLOW }, async (t) => {
    const keys = await openKeyServer(t);
    const ours = newKey('ours');
    keys.keys = [ours];
    const other = `${SECRET}-of-the-other`;
    const world = await World.open(t, 'tokens-sources', { broker: 'embedded', settings: { gateway: {
        token: { secret: undefined, refusals: 1000, sources: [
            { issuer: 'us', algorithm: 'ES256', jwks_url: keys.url, tenants: 'acme' },
            { issuer: 'them', algorithm: 'HS256', secret: other, audience: 'realtime', tenants: ['globex', 'initech'] },
        ] },
    } } });
    const gateway = await world.gateway();
    const theirs = (more) => token(claims({ iss: 'them', aud: 'realtime', tenant: 'globex', ...more }), other);
    const publicKey = ours.pair.publicKey.export({ format: 'pem', type: 'spki' });
    const cases = [
        ['in', signedBy(ours, { iss: 'us' })],
        ['in', theirs({})],
        ['in', theirs({ tenant: 'initech' })],
        ['token_tenant_not_of_issuer', theirs({ tenant: 'acme' })],
        ['token_tenant_not_of_issuer', signedBy(ours, { iss: 'us', tenant: 'globex' })],
        ['token_tenant_not_of_issuer', theirs({ tenant: undefined })],
        ['token_algorithm_not_allowed', theirs({ iss: 'us', tenant: 'acme' })], // in the other's name
        ['token_algorithm_not_allowed', token(claims({ iss: 'us' }), publicKey)], // its public key as a secret
        ['token_algorithm_not_allowed', signedBy(ours, { iss: 'them', aud: 'realtime', tenant: 'globex' })],
        ['token_signature_wrong', token(claims({ iss: 'them', aud: 'realtime', tenant: 'globex' }), SECRET)],
        ['token_audience_wrong', theirs({ aud: 'another' })],
        ['token_issuer_wrong', theirs({ iss: 'somebody' })],
        ['token_issuer_wrong', theirs({ iss: undefined })],
    ];
    for (const [transport, receive] of Object.entries(received))
        for (const [expected, given] of cases)
            assert.match(String(await receive(t, gateway, { given })), transport === 'events' && expected !== 'in' ? /^(401|403)$/ : new RegExp(`^${expected}$`), `${transport}: ${expected}`);
    assert.equal(await world.metric(gateway, 'smartstack_gateway_refusals_total{reason="token_tenant_not_of_issuer"}'), 3 * 4);

    /* Nor in the middle of a session. */
    const staying = await client(t, gateway, () => theirs({})).connect();
    assert.equal((await staying.ask('token', theirs({ tenant: 'acme' }))).error.code, 'token_tenant_not_of_issuer');
    assert.deepEqual(await staying.ask('token', theirs({})), { ok: true });
});

test('tokens: a cookie, from pages that are listed', { timeout: 120000 * SLOW }, async (t) => {
    const page = 'https://app.example';
    const world = await World.open(t, 'tokens-cookie', { broker: 'embedded', settings: { gateway: {
        auth: { cookie: 'smartstack_token' }, cors: { origins: [page], credentials: true }, token: { refusals: 1000 },
    } } });
    const gateway = await world.gateway();
    const from = (Origin, cookie = signed()) => ({ headers: { Origin, Cookie: `a=b; smartstack_token=${cookie}; c=d` } });
    for (const [transport, receive] of Object.entries(received)) {
        assert.equal(await receive(t, gateway, from(page)), 'in', transport);
        assert.match(String(await receive(t, gateway, from('https://evil.example'))), /403/, transport);
        assert.match(String(await receive(t, gateway, { headers: { Origin: page, Cookie: 'another=x' } })), /token_missing|401/, transport);
        assert.match(String(await receive(t, gateway, from(page, 'x'))), /token_malformed|401/, transport);
        assert.match(String(await receive(t, gateway, { given: signed({ exp: later(-100) }), ...from(page) })), /token_expired|401/, `${transport}: what is said first counts`);
    }
    for (const origins of [undefined, ['*']]) {
        const file = world.writeConfiguration('refused', { gatewayPort: await freePort() }, { gateway: { cors: { origins, credentials: false } } });
        const checked = spawnSync(PROGRAMS.gateway, ['--config', file, '--check-config'], { encoding: 'utf8' });
        assert.notEqual(checked.status, 0);
        assert.match(checked.stderr, /gateway\.auth\.cookie: any page could use it/);
    }
});
