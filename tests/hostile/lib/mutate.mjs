/* `data` with up to five changes, as a fuzzer would make them. */
export function mutate(data, random) {
    let result = Buffer.from(data);
    for (let i = random.integer(0, 6); i; i--) {
        const at = random.integer(0, result.length + 1);
        const size = random.integer(0, 1 + Math.min(40, result.length - at));
        switch (random.integer(0, 4)) {
        case 0: // changed
            result.fill(random.integer(0, 256), at, Math.min(result.length, at + 1));
            break;
        case 1: // removed
            result = Buffer.concat([result.subarray(0, at), result.subarray(at + size)]);
            break;
        case 2: // doubled
            result = Buffer.concat([result.subarray(0, at + size), result.subarray(at)]);
            break;
        default: // put in
            result = Buffer.concat([result.subarray(0, at), Buffer.from(Array.from({ length: random.integer(1, 9) }, () => random.integer(0, 256))), result.subarray(at)]);
        }
    }
    return result;
}
