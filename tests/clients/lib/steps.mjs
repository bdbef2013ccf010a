/* What every stock client goes through, and prints as "ok STEP", in this order. */
export const STEPS = [
    'connect', // with an auth payload, which comes back in `auth`
    'transport', // the one asked for; by default the upgrade takes place
    'text',
    'binary', // several attachments in one event
    'ack',
    'binary ack',
    'hundred', // events with an attachment sent at once come back in order
    'heartbeat', // idle for several ping intervals
    'namespace', // /custom on the same connection
    'refused', // CONNECT_ERROR: an unknown namespace, and one that lets nobody in
    'ack asked', // by the server
    'reconnect', // by itself, after the server was killed and started again
];
