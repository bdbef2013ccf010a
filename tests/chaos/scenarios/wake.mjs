/* Gateways are stopped for longer than many clients wait, one after the other, and go on: their sessions live on or recover
 * elsewhere. What is published meanwhile reaches each once; a gateway that wakes up gives no client what another has given. */
import { sleep } from '../../integration/lib/wait.mjs';
import { freeze } from '../lib/faults.mjs';
import { onStage, stageOptions } from '../lib/stage.mjs';
import { checkRecoveries, sum } from '../lib/witness.mjs';

export const description = 'gateways stopped for 30 s under load and continued: sessions live on or recover elsewhere';
export const faults = 3;
export const options = {
    ...stageOptions(),
    stop: { default: 30, help: 'seconds for which a gateway is stopped' },
    pause: { default: 10, help: 'seconds between one and the next' },
};

export async function run({ random, report, faults: count, values }) {
    await onStage('chaos-wake', { report, values }, async ({ world, gateways, witnesses, finish }) => {
        for (let i = 0, first = random.integer(0, gateways.length); i < count; i++) {
            await sleep(Number(values.pause) * 1000);
            const victim = gateways[(first + i) % gateways.length];
            const held = await world.metric(victim, 'smartstack_gateway_sockets');
            report.fault('stop', `${victim.name}, which holds ${held} sockets, for ${values.stop} s`);
            await freeze(victim, Number(values.stop) * 1000);
            await world.waitReady(victim);
        }
        await sleep(Number(values.pause) * 1000);
        await finish();
        checkRecoveries(report, witnesses);
        const stayed = witnesses.filter(({ returns }) => returns === 0).length;
        report.say(`${stayed} of ${witnesses.length} clients never lost their session, ${sum(witnesses, 'returns')} returns`);
        const gaps = await Promise.all(gateways.map((gateway) => world.metric(gateway, 'smartstack_gateway_loop_gaps_total')));
        report.check('gateways noticed that they had been stopped', gaps.reduce((a, b) => a + b, 0) >= count, gaps.join(' '));
        report.check('some sessions lived on', count === 0 || stayed > 0);
        report.check('some recovered elsewhere', count === 0 || sum(witnesses, 'returns') > 0);
        report.check('every gateway is alive', gateways.every(({ alive }) => alive));
    });
}
