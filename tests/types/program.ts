/* Compiled, not run: what a typed client may write, and (after @ts-expect-error) what it may not. */
import { io, type Socket } from 'socket.io-client';
import type {
    Answer, Auth, ClientMessage, ClientToServerEvents, ConnectError, EventToBackend, Room, ServerMessage, ServerToClientEvents, StreamEvents,
} from '../../proto/events.js';

declare module '../../proto/events.js' {
    interface CustomEvents {
        'order.shipped': { id: string; total: number };
    }
}

interface Mine extends ClientToServerEvents {
    comment: EventToBackend<{ text: string }>;
}

const auth = { token: 'a JWT' } satisfies Auth;
export const socket: Socket<ServerToClientEvents, Mine> = io('http://localhost:8080', { auth });

socket.on('task.status', (notification, cursor) => {
    const status: string | undefined = notification.taskStatus.status;
    const percent: number | undefined = notification.taskStatus.progress;
    const rooms: string[] = notification.rooms;
    console.log(status, percent, rooms, cursor.length);
    // @ts-expect-error: that is of another kind
    notification.reviewAlert.queue;
});
socket.on('review.alert', ({ reviewAlert }) => console.log(reviewAlert.queue, reviewAlert.dueTime));
socket.on('notification', ({ clientNotification }) => console.log(clientNotification.severity === 'warning'));
socket.on('order.shipped', (order, cursor) => console.log(order.total.toFixed(2), cursor.length));
// @ts-expect-error: it has no such member
socket.on('order.shipped', ({ price }) => console.log(price));
socket.on('history', (past) => {
    if (past.event === 'task.status')
        console.log(past.room, past.data.taskStatus.status);
    else if (past.event === 'order.shipped')
        console.log(past.room, past.data.id);
});
socket.on('state', ({ room, first, items }) => {
    for (const { event, data } of items)
        if (event === 'task.status')
            console.log(room, first, data.item?.key, data.taskStatus.status);
});
socket.on('session', ({ recovered, reason }) => console.log(recovered satisfies false, reason));
socket.on('stale', ({ since }) => console.log(new Date(since)));
socket.on('token_expired', ({ graceMs }) => socket.emit('token', 'another', (answer) => console.log(graceMs, answer.ok)));
socket.on('connect_error', (error: ConnectError) => console.log(error.data?.code));
// @ts-expect-error: there is no such event
socket.on('task.states', () => {});

export async function follow(taskId: string): Promise<Answer> {
    const answer = await socket.emitWithAck('subscribe', { room: `task:${taskId}` });
    if (!answer.ok)
        console.log(answer.error.code);
    const past = await socket.emitWithAck('subscribe', `task:${taskId}`, { last: 10, since: '2026-01-01T00:00:00Z' });
    if (past.ok)
        console.log(past.history?.count, past.history?.complete);
    socket.emit('subscribe', `task:${taskId}`, null, () => {});
    const now = await socket.emitWithAck('subscribe', `task:${taskId}`, { state: true });
    if (now.ok)
        console.log(now.state?.count, now.state?.complete, new Date(now.state?.since ?? 0));
    // @ts-expect-error: all that it shows, not what is since a time
    socket.emit('subscribe', `task:${taskId}`, { state: true, last: 3 }, () => {});
    // @ts-expect-error: what of its past
    socket.emit('subscribe', `task:${taskId}`, {}, () => {});
    // @ts-expect-error: not before it is known that it was refused
    answer.error;
    await socket.emitWithAck('comment', { text: 'well done' }, { id: 'c1', room: `task:${taskId}` });
    const patient: Answer = await socket.timeout(5000).emitWithAck('unsubscribe', `task:${taskId}`);
    console.log(patient.ok);
    // @ts-expect-error: a comment has a text
    socket.emit('comment', { words: 1 }, {}, () => {});
    // @ts-expect-error: a room has a kind
    socket.emit('subscribe', 'forty-two');
    return answer;
}

export function take(message: ServerMessage, send: (message: ClientMessage) => void): void {
    if (message.type === 'notification' && message.event === 'task.status')
        console.log(message.data.taskStatus.status);
    else if (message.type === 'notification' && message.event === 'order.shipped')
        console.log(message.data.total);
    else if (message.type === 'history' && message.event === 'review.alert')
        console.log(message.room, message.data.reviewAlert.queue);
    else if (message.type === 'state')
        send({ type: 'subscribe', id: 3, rooms: [message.room], state: true });
    else if (message.type === 'ack')
        send({ type: 'subscribe', id: 2, rooms: ['task:3'], last: message.history?.count ?? 10 });
    else if (message.type === 'welcome')
        send({ type: 'subscribe', id: 1, rooms: ['task:1', 'task:2'] satisfies Room[] });
    else if (message.type === 'error')
        console.log(message.error.rooms?.map(({ room }) => room));
    else if (message.type === 'ping')
        send({ type: 'pong' });
    // @ts-expect-error: rooms are needed
    send({ type: 'subscribe' });
}

export function listen<Name extends keyof StreamEvents>(source: EventTarget, name: Name, listener: (data: StreamEvents[Name], id: string) => void): void {
    source.addEventListener(name, (event) => {
        const { data, lastEventId } = event as MessageEvent<string>;
        listener(JSON.parse(data) as StreamEvents[Name], lastEventId);
    });
}
listen(new EventTarget(), 'order.shipped', ({ id, total }) => console.log(id, total));
listen(new EventTarget(), 'review.alert', ({ reviewAlert }, id) => console.log(reviewAlert.priority, id));
