/* Both programs log in to the broker with tokens of an OpenID Connect provider, and go on when these have expired. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const LIFE_S = 8 * SLOW;
const ID = 'smart stack', SECRET = 'a secret: with & all = signs'; // encoded before they are put together

/* Gives tokens to who knows the secret; shows its keys. */
async function openProvider(t) {
    const pair = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const server = http.createServer(async (request, response) => {
        const answer = (code, body) => response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
        if (request.url === '/keys')
            return answer(200, { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }] });
        const [id, secret] = Buffer.from(request.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString().split(':').map(decodeURIComponent);
        const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
        server.asked.push({ id, secret, form: Object.fromEntries(form), method: request.method });
        if (id !== ID || secret !== SECRET || server.away)
            return answer(server.away ? 503 : 401, { error: 'invalid_client' });
        const now = Math.floor(Date.now() / 1000);
        const body = `${part({ alg: 'RS256', typ: 'JWT', kid: 'one' })}.${part({ iss: 'provider', sub: 'smartstack', aud: 'kafka', scope: 'kafka', iat: now, exp: now + LIFE_S })}`;
        return answer(200, { token_type: 'bearer', expires_in: LIFE_S, access_token: `${body}.${crypto.sign('sha256', Buffer.from(body), pair.privateKey).toString('base64url')}` });
    });
    const port = await freePort();
    Object.assign(server, { asked: [], url: `http://127.0.0.1:${port}` });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return server;
}

test('oidc: both programs log in to the broker with tokens, over their expiry', { timeout: 240000 * SLOW }, async (t) => {
    const provider = await openProvider(t);
    const port = await freePort();
    const kafka = (secret) => ({
        'bootstrap.servers': `127.0.0.1:${port}`, 'security.protocol': 'SASL_PLAINTEXT', 'sasl.mechanism': 'OAUTHBEARER',
        'sasl.oauthbearer.method': 'oidc', 'sasl.oauthbearer.client.id': ID, 'sasl.oauthbearer.client.secret': secret,
        'sasl.oauthbearer.token.endpoint.url': `${provider.url}/token`, 'sasl.oauthbearer.scope': 'kafka',
    });
    const world = await World.open(t, 'oidc', {
        settings: { kafka: kafka(SECRET) },
        brokerEnvironment: { JAVA_TOOL_OPTIONS: `-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${provider.url}/keys` },
        prepare(broker) {
            broker.settings = [
                `listeners=PLAINTEXT://127.0.0.1:${broker.port},CONTROLLER://127.0.0.1:${broker.port + 1},OAUTH://127.0.0.1:${port}`,
                `advertised.listeners=PLAINTEXT://127.0.0.1:${broker.port},OAUTH://127.0.0.1:${port}`,
                'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,OAUTH:SASL_PLAINTEXT',
                'listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER',
                'listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler',
                'listener.name.oauth.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required ;',
                'listener.name.oauth.oauthbearer.connections.max.reauth.ms=3600000', // and not beyond the token's life
                `sasl.oauthbearer.jwks.endpoint.url=${provider.url}/keys`,
                'sasl.oauthbearer.expected.audience=kafka', 'sasl.oauthbearer.expected.issuer=provider',
            ];
        },
    });
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    assert.deepEqual(provider.asked[0], { id: ID, secret: SECRET, form: { grant_type: 'client_credentials', scope: 'kafka' }, method: 'POST' });
    const client = await world.client(gateway, { rooms: ['task:1'] });
    const backend = await world.backend();
    const began = performance.now(), before = provider.asked.length;
    let n = 0;
    while (performance.now() - began < 2.5 * LIFE_S * 1000) {
        await backend.events([taskEvent({ taskId: '1', n: ++n })]);
        await sleep(200);
    }
    await eventually(() => client.received.at(-1)?.notification.taskStatus.data.n === n, { what: () => `event ${n}, not ${client.received.length}` });
    assertConsecutive(client.received, { last: n, number: ({ notification }) => notification.taskStatus.data.n });
    assert.ok(provider.asked.length >= before + 4, `${provider.asked.length - before} fresh tokens`); // two lives, two programs
    for (const program of [dispatcher, gateway])
        assert.doesNotMatch(program.text(), /no token for Kafka/);

    /* Who has the wrong secret is told why, without it. */
    const stranger = await world.gateway({ name: 'stranger', ready: false, settings: { kafka: kafka('wrong') } });
    await stranger.waitText(/no token for Kafka.*answered 401/, 30000 * SLOW);
    assert.doesNotMatch(stranger.text(), /wrong|a%20secret/);
});
