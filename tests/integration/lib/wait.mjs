/* Waiting, always bounded. */

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Calls `attempt` until it returns something true, and resolves to it. What it throws counts as "not yet", unless the
 * error has `final`. */
export async function eventually(attempt, { timeout = 20000, interval = 25, what = 'a condition' } = {}) {
    const deadline = Date.now() + timeout;
    let last;
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
        if (Date.now() > deadline) {
            const name = typeof what === 'function' ? what() : what;
            throw new Error(`not within ${timeout} ms: ${name}${last ? `\nlast error: ${last.message}` : ''}`);
        }
        await sleep(interval);
    }
}

/* A promise with a time limit. */
export async function within(timeout, promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${timeout} ms: ${what}`)), timeout);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

/* A promise that somebody awaits only later: if it is rejected before, that is not yet an error of the process. */
export function awaitedLater(promise) {
    promise.catch(() => {});
    return promise;
}
