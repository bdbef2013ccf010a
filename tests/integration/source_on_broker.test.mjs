/* The gateway's lane source (kafka_source_test) once more, on a real broker: transactions, retention, topics made again. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { BUILD_DIR, SLOW } from './lib/places.mjs';
import { World } from './lib/world.mjs';

test('the lane source on a real broker', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'source-on-broker', { topics: {} });
    const program = world.program('kafka_source_test', path.join(BUILD_DIR, 'tests/integration/kafka_source_test'), [], {
        environment: { CK_FORK: 'no', SMARTSTACK_TEST_KAFKA: world.broker.address, SMARTSTACK_TEST_KAFKA_FRESH: '1' },
    }).start();
    const end = await program.waitEnd(230000 * SLOW);
    assert.equal(end.code, 0, program.tail());
});
