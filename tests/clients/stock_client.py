"""python-socketio against the echo server: what `lib/steps.mjs` lists, by one transport.

    stock_client.py sync|async SUITES_URL CLIENT_SUITE_URL TRANSPORT[,TRANSPORT]

Prints "ok STEP" for each step, and "restart" when it wants the first server killed and started again; a line on
standard input tells that this is done. Exit code 0 if every step was gone through.
"""
import asyncio
import queue
import sys
import threading
import traceback

import socketio

LIMIT = 30  # seconds, for whatever is waited for
# The blocking client's disconnect() says nothing to the server if its writing thread is just between two packets (python-engineio
# 4.15: `while self.state == 'connected'` in _write_loop), and then waits for its own poll until a ping ends that. So it gets
# there first.
WRITTEN = 0.05
BINARY = [bytes(range(256)), b'', b'\x00\x1e\x04' * 500]


class Blocking:
    """socketio.Client: threads, requests, websocket-client."""

    def __init__(self, **options):
        self.io = socketio.Client(**options)
        # It handles each message in a thread of its own (python-engineio 4.15: `run_async`), and threads have no order among them on a
        # busy machine. What is looked at here is the order on the wire.
        trigger = self.io.eio._trigger_event
        self.io.eio._trigger_event = lambda event, *arguments, **how: trigger(event, *arguments, **{**how, 'run_async': False})

    def run(self, method, *arguments, **options):
        return getattr(self.io, method)(*arguments, **options)


class Asynchronous:
    """socketio.AsyncClient on a loop in a thread of its own: asyncio, aiohttp."""

    def __init__(self, **options):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.io = self.call(self.create(options))

    @staticmethod
    async def create(options):
        return socketio.AsyncClient(**options)

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(LIMIT)

    def run(self, method, *arguments, **options):
        return self.call(getattr(self.io, method)(*arguments, **options))


class Client:
    """One connection; what happens to it is put into `inbox`, in order: (namespace, event, arguments)."""

    def __init__(self, port, namespaces=('/',), answer=None):
        self.port = port(reconnection_delay=0.1, reconnection_delay_max=0.5, randomization_factor=0)
        self.namespaces = list(namespaces)
        self.inbox = queue.Queue()
        self.answer = answer
        for namespace in self.namespaces:
            self.listen(namespace)

    def listen(self, namespace):
        def remember(event):
            return lambda *arguments: self.inbox.put((namespace, event, list(arguments)))

        def anything(event, *arguments):
            self.inbox.put((namespace, event, list(arguments)))
            return self.answer

        def refused(*arguments):  # connect() disconnects next
            if isinstance(self.port, Blocking):
                self.port.run('sleep', WRITTEN)
            remember('connect_error')(*arguments)

        self.port.io.on('connect', remember('connect'), namespace=namespace)
        self.port.io.on('connect_error', refused, namespace=namespace)
        self.port.io.on('disconnect', remember('disconnect'), namespace=namespace)
        self.port.io.on('*', anything, namespace=namespace)

    def connect(self, url, transports, auth=None):
        self.port.run('connect', url, auth=auth, transports=transports, namespaces=self.namespaces, wait_timeout=LIMIT)
        return self

    def next(self, event, namespace='/'):
        """The arguments of the next such event; others are passed over."""
        while True:
            came_from, name, arguments = self.inbox.get(timeout=LIMIT)
            if (came_from, name) == (namespace, event):
                return arguments

    def emit(self, event, *arguments, namespace='/'):
        self.port.run('emit', event, arguments, namespace=namespace)

    def call(self, event, *arguments, namespace='/'):
        return self.port.run('call', event, arguments, namespace=namespace, timeout=LIMIT)

    def close(self):
        self.port.run('sleep', WRITTEN)
        self.port.run('disconnect')


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f'{actual!r} is not {expected!r}')


def done(step):
    print('ok', step, flush=True)


def exchange(client, transports):
    """Everything that a connected client may do, on the application of the protocol suites."""
    equal(client.next('auth'), [{'token': 'für "/"'}])
    done('connect')
    equal(client.port.io.transport(), 'websocket' if 'websocket' in transports else 'polling')
    done('transport')
    texts = [1, 'twö\u2028\U0001f600', {'3': [True, None, 1.5, {'deep': ['er']}]}]
    client.emit('message', *texts)
    equal(client.next('message-back'), texts)
    done('text')
    client.emit('message', BINARY[0], {'inside': BINARY[2], 'empty': BINARY[1]})
    equal(client.next('message-back'), [BINARY[0], {'inside': BINARY[2], 'empty': BINARY[1]}])
    done('binary')
    equal(list(client.call('message-with-ack', 1, '2', {'3': [False]})), [1, '2', {'3': [False]}])
    done('ack')
    equal(list(client.call('message-with-ack', BINARY[0], {'x': BINARY[2]})), [BINARY[0], {'x': BINARY[2]}])
    done('binary ack')
    for i in range(100):
        client.emit('message', i, BINARY[2])
    for i in range(100):
        equal(client.next('message-back'), [i, BINARY[2]])
    done('hundred')


def other_namespace(port, url, transports):
    client = Client(port, namespaces=['/', '/custom']).connect(url, transports, auth={'a': 1})
    equal(client.next('auth', namespace='/custom'), [{'a': 1}])
    client.emit('message', 'custom', BINARY[0], namespace='/custom')
    equal(client.next('message-back', namespace='/custom'), ['custom', BINARY[0]])
    equal(client.call('message-with-ack', 'one', namespace='/custom'), 'one')
    client.close()
    done('namespace')


def refused(port, url, namespace, message):
    client = Client(port, namespaces=[namespace])
    try:
        client.connect(url, ['polling'])
    except socketio.exceptions.ConnectionError:
        pass
    else:
        raise AssertionError(f'{namespace} let the client in')
    equal(client.next('connect_error', namespace=namespace), [{'message': message}])


def asked_for_ack(port, url, transports):
    client = Client(port, answer=(5, {'test': True})).connect(url, transports)
    client.emit('ack')
    equal(client.next('ack'), [])
    client.next('got it')
    client.close()
    done('ack asked')


def stay(client):
    """Idle over several heartbeats."""
    client.port.run('sleep', 1.5)
    equal(client.call('message-with-ack', 'still here'), 'still here')
    done('heartbeat')


def come_back(client):
    print('restart', flush=True)
    client.next('disconnect')
    if not sys.stdin.readline():
        raise AssertionError('no word of the restart')
    client.next('connect')
    equal(client.next('auth'), [{'token': 'für "/"'}])
    client.emit('message', 'again', BINARY[0])
    equal(client.next('message-back'), ['again', BINARY[0]])
    done('reconnect')


def main():
    port = {'sync': Blocking, 'async': Asynchronous}[sys.argv[1]]
    suites, client_suite = sys.argv[2:4]
    transports = sys.argv[4].split(',')
    client = Client(port).connect(suites, transports, auth={'token': 'für "/"'})
    exchange(client, transports)
    stay(client)
    other_namespace(port, suites, transports)
    refused(port, suites, '/random', 'Invalid namespace')
    refused(port, client_suite, '/no', 'Auth failed (custom namespace)')
    done('refused')
    asked_for_ack(port, client_suite, transports)
    come_back(client)
    client.close()


try:
    main()
except BaseException:  # threads of the client must not keep the program alive
    traceback.print_exc()
    sys.stderr.flush()
    import os
    os._exit(1)
