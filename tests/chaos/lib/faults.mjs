/* What can befall a program. Each returns when the program is as it was, or is on its way to be. */
import { sleep } from '../../integration/lib/wait.mjs';

/* Killed, and started again after `delay_ms`. */
export async function killAndRestart(program, delay_ms) {
    await program.kill();
    await sleep(delay_ms);
    program.start();
}

/* Stopped for a while, as by a VM that is moved. */
export async function freeze(program, duration_ms) {
    program.pause();
    await sleep(duration_ms);
    program.resume();
}

/* The broker goes, in good order or not, and comes back. */
export async function restartBroker(broker, { hard, delay_ms }) {
    await (hard ? broker.kill() : broker.stop());
    await sleep(delay_ms);
    await broker.start();
}

/* `count` faults, the pauses between them by chance. `act(i)` starts one and returns a promise of its end; faults may
 * overlap as far as `act` lets them. Resolves when all have ended. */
export async function inflict({ random, count, pause_ms: [shortest, longest] }, act) {
    const running = [];
    for (let i = 0; i < count; i++) {
        await sleep(random.between(shortest, longest));
        running.push(Promise.resolve(act(i)));
    }
    await Promise.all(running);
}
