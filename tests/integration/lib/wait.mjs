/* Waiting, always bounded. A limit is there to end what will not come, not to measure: it costs nothing while all is well, so it
 * has room for a machine that does other work. */
import { SLOW } from './places.mjs';

export const PATIENCE = 60000 * SLOW;

/* What is waited for now: the last word of a file that does not end. A hook that hangs is ended by no limit of its suite. */
const waiting = new Set();
const seconds = Number(process.env.TESTS_FILE_SECONDS ?? 0);
if (seconds > 0) {
    const endAfter = (limit, when) => setTimeout(() => {
        const named = [...waiting].map(nameOf).join('\n- ');
        console.error(`${when}: not at its end after ${limit} s\n- ${named || `it waits for nothing; alive are ${process.getActiveResourcesInfo()}`}`);
        process.exit(1);
    }, limit * 1000).unref();
    endAfter(seconds, 'this file');
    const { after } = await import('node:test');
    after(() => { endAfter(60, 'this file, whose tests are over'); });
}

const nameOf = (what) => (typeof what === 'function' ? what() : what);

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Calls `attempt` until it returns something true, and resolves to it. What it throws counts as "not yet", unless the
 * error has `final`. */
export async function eventually(attempt, { timeout = PATIENCE, interval = 25, what = 'a condition' } = {}) {
    const deadline = Date.now() + timeout;
    let last;
    const wait = () => `${nameOf(what)}${last ? `\nlast error: ${last.message}` : ''}`;
    waiting.add(wait);
    try {
        for (;;) {
            try {
                const value = await attempt();
                if (value)
                    return value;
                last = undefined;
            } catch (error) {
                if (error.final)
                    throw error;
                last = error;
            }
            if (Date.now() > deadline)
                throw new Error(`not within ${timeout} ms: ${wait()}`);
            await sleep(interval);
        }
    } finally {
        waiting.delete(wait);
    }
}

/* A promise with a time limit. */
export async function within(timeout, promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${timeout} ms: ${nameOf(what)}`)), timeout);
    });
    const wait = () => nameOf(what);
    waiting.add(wait);
    try {
        return await Promise.race([promise, late]);
    } finally {
        waiting.delete(wait);
        clearTimeout(timer);
    }
}

/* A promise that somebody awaits only later: if it is rejected before, that is not yet an error of the process. */
export function awaitedLater(promise) {
    promise.catch(() => {});
    return promise;
}
