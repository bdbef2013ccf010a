/* After each test the timers are the real ones again: a test that fails while it has false ones in place must not take the
 * others with it. */
const GLOBALS = ["Date", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate", "queueMicrotask"];
const kept = GLOBALS.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
const { nextTick, hrtime } = process;

export const mochaHooks = {
    afterEach() {
        for (const [name, property] of kept)
            if (property)
                Object.defineProperty(globalThis, name, property);
        Object.assign(process, { nextTick, hrtime });
    },
};
