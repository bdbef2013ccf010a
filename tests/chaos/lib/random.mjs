/* Chance from a seed: the same seed, the same decisions (xorshift32, scrambled by a multiplication). */
export class Random {
    constructor(seed) {
        this.state = (Math.imul(seed, 0x9e3779b1) ^ 0x85ebca6b) >>> 0 || 1;
        for (let i = 0; i < 8; i++)
            this.bits();
    }

    bits() {
        let x = this.state;
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        this.state = x >>> 0;
        return Math.imul(this.state, 0x2c1b3c6d) >>> 0;
    }

    /* Chance for another part of the scenario: what that part draws does not change what this one will. */
    fork() { return new Random(this.bits()); }

    /* In [0, 1), [low, high), and one of a list. */
    fraction() { return this.bits() / 2 ** 32; }
    between(low, high) { return low + this.fraction() * (high - low); }
    integer(low, high) { return Math.floor(this.between(low, high)); }
    pick(list) { return list[this.integer(0, list.length)]; }

    /* One of {name: weight}. */
    weighted(weights) {
        const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
        let at = this.between(0, total);
        for (const [name, weight] of Object.entries(weights)) {
            at -= weight;
            if (at < 0)
                return name;
        }
        return Object.keys(weights).at(-1);
    }
}
