/* In the place of the client suite's own server: ours runs already, outside of the tests. */
export function createServer() {
    return { close: () => undefined };
}
