/* Gateways behind a load balancer are killed and stopped, clients' connections cut, the broker restarted: every client's
 * log of every room of its is exactly 1..K, and every return is a recovery. */
import { freeze, inflict, killAndRestart, restartBroker } from '../lib/faults.mjs';
import { onStage, stageOptions } from '../lib/stage.mjs';
import { SYSTEMS } from '../lib/systems.mjs';
import { checkRecoveries, sum } from '../lib/witness.mjs';

export const description = 'gateways killed and stopped, connections cut, the broker restarted: every log is exactly 1..K';
export const faults = 200;
export const options = {
    ...stageOptions(),
    pause: { default: 1, help: 'seconds between faults, on average' },
    system: { default: 'smartstack', help: `one of ${Object.keys(SYSTEMS).join(', ')}` },
};

const KINDS = { 'kill -9': 4, stop: 3, cut: 10, 'broker restart': 1 };

/* All chance is drawn before anything is done: what is busy at the moment does not change what comes later. */
function draw(random, gateways, witnesses) {
    return {
        kind: random.weighted(KINDS), gateway: random.integer(0, gateways), witness: random.integer(0, witnesses),
        delay_ms: random.between(0, 2000), stop_ms: random.between(1000, 10000), hard: random.fraction() < 0.5,
    };
}

/* The victim that was drawn, or the next one that nothing befalls yet; none: a client's connection is cut instead. */
function choose({ gateways, broker, busy }, { kind, gateway }) {
    const candidates = kind === 'cut' ? [] : kind === 'broker restart' ? [broker] : [...gateways.slice(gateway), ...gateways.slice(0, gateway)];
    return candidates.find((victim) => !busy.has(victim));
}

async function befall(scene, fault) {
    const { witnesses, busy, report } = scene;
    const victim = choose(scene, fault);
    if (!victim) {
        report.fault('cut', `client ${fault.witness}`);
        witnesses[fault.witness].cut();
        return;
    }
    busy.add(victim);
    if (fault.kind === 'broker restart') {
        report.fault(fault.kind, fault.hard ? '-9' : 'in good order');
        await restartBroker(victim, fault);
    } else if (fault.kind === 'stop') {
        report.fault(fault.kind, `${victim.name} for ${(fault.stop_ms / 1000).toFixed(1)} s`);
        await freeze(victim, fault.stop_ms);
    } else {
        report.fault(fault.kind, victim.name);
        await killAndRestart(victim, fault.delay_ms);
    }
    busy.delete(victim);
}

export async function run({ random, report, faults: count, values }) {
    const pause_ms = Number(values.pause) * 1000;
    const system = SYSTEMS[values.system];
    if (!system)
        throw new Error(`--system is one of: ${Object.keys(SYSTEMS).join(', ')}`);
    await onStage(`chaos-kill-${values.system}`, { report, values, system }, async (stage) => {
        const { gateways, store, witnesses } = stage;
        const scene = { gateways, broker: store, witnesses, busy: new Set(), report };
        await inflict({ random: random.fork(), count, pause_ms: [0.2 * pause_ms, 1.8 * pause_ms] },
            () => befall(scene, draw(random, gateways.length, witnesses.length)));
        await stage.finish();
        checkRecoveries(report, witnesses);
        report.check('the faults made clients return', count === 0 || sum(witnesses, 'returns') > 0);
        report.check('every gateway is alive', gateways.every(({ alive }) => alive));
    });
}
