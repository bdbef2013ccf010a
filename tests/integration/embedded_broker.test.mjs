/* The pair on the embedded broker: it promises less there, and says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOW } from './lib/places.mjs';
import { taskEvent, TOPICS, World } from './lib/world.mjs';

test('a load balancer may stick to the cookie of a session', { timeout: 60000 * SLOW }, async (t) => {
    const world = await World.open(t, 'session_cookie', { broker: 'embedded', settings: { gateway: { socketio: { cookie: 'io' } } } });
    const gateway = await world.gateway();
    const poll = `${gateway.url}/socket.io/?EIO=4&transport=polling`;
    const answer = await fetch(poll);
    const { sid } = JSON.parse((await answer.text()).slice(1));
    await fetch(`${poll}&sid=${sid}`, { method: 'POST', body: '1' }); // nobody has to wait for this client
    assert.equal(answer.headers.get('set-cookie'), `io=${sid}; Path=/; HttpOnly; SameSite=Lax`);
});

test('the log says who came, joined, and went', { timeout: 60000 * SLOW }, async (t) => {
    const world = await World.open(t, 'access_log', { broker: 'embedded', topics: TOPICS });
    await world.dispatcher();
    const gateway = await world.gateway();
    const client = await world.client(gateway, { rooms: ['task:t1'] });
    const backend = await world.backend();
    await backend.events([1, 2, 3].map((n) => taskEvent({ taskId: 't1', n })));
    await client.waitCount(3, 20000 * SLOW);
    const upgrades = await world.metric(gateway, 'smartstack_gateway_engineio_upgrades_total');
    client.disconnect();
    const [, session] = await gateway.waitText(/session opened session=(\S+) tenant=acme user=usr_test transport=socketio recovered=false rooms=2/);
    const line = (rest) => gateway.waitText(new RegExp(`${rest.replace('SESSION', `session=${session.replace(/[-]/g, '\\-')}`)}`));
    await line('room joined SESSION tenant=acme user=usr_test transport=socketio room=task:t1');
    await line('session closed SESSION tenant=acme user=usr_test transport=socketio reason=client_gone notifications=3 rooms=3 lasted_ms=\\d+');
    const text = await (await fetch(`${gateway.operations}/metrics`)).text();
    const counted = Number(text.match(/smartstack_gateway_http_answers_total\{code="1xx"\} (\d+)/)[1]);
    assert.ok(counted >= Math.min(upgrades, 1), `${counted} answers of 1xx, ${upgrades} upgrades`);
});

test('an event reaches a stock client through the embedded broker', { timeout: 60000 * SLOW }, async (t) => {
    const world = await World.open(t, 'embedded_broker', { broker: 'embedded', topics: TOPICS });
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    const client = await world.client(gateway, { rooms: ['task:t1'] });
    const backend = await world.backend();
    await backend.events([taskEvent({ taskId: 't1', n: 1 })]);
    const [{ event, notification }] = await client.waitCount(1, 20000 * SLOW);
    assert.equal(event, 'task.status');
    assert.deepEqual(notification.rooms, ['task:t1']);
    assert.equal(notification.eventId, 't1-1');
    assert.equal(notification.taskStatus.event, 'task.progress');
    assert.deepEqual(notification.taskStatus.data, { n: 1 });
    assert.match(dispatcher.text(), /at.least.once/i, 'the dispatcher says that there are no transactions');
});
