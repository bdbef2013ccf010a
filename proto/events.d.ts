/**
 * The events between clients and gateway, for TypeScript. Written by hand; tests/types holds it against the messages of
 * this folder and compiles the program of a stock client with it.
 *
 *     import { io, type Socket } from 'socket.io-client';
 *     import type { Auth, ClientToServerEvents, ServerToClientEvents } from './events.js';
 *     const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, { auth: { token } satisfies Auth });
 */

/* --- Notifications: notification.proto as JSON. What is empty is left out. */

/** Any JSON value: an event's `data` stands as the backend wrote it. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

interface NotificationHead {
    /** Derived from the event, the kind and the lane: doing the same work again gives the same id. */
    id: string;
    /** When the event happened: RFC 3339. */
    time: string;
    rooms: string[];
    /** The notifications of one event share it. */
    eventId: string;
    /** Names of the rules that asked for it. */
    rules: string[];
    rulesRevision: string;
    traceparent?: string;
    tracestate?: string;
    /** What its rooms show from now on. Absent: it passes by. */
    item?: Item;
    /** Older than what its item was told with before: it has no item, and is for who keeps a log. */
    late?: true;
}

/** A thing with a state: a room shows the last notification of each that is not removed. */
export interface Item {
    /** Within the room. */
    key: string;
    /** The room does not show it any more. */
    removed?: true;
}

/** Something happened to a task. */
export interface TaskStatusUpdate<Data = Json> {
    event?: string;
    taskId?: string;
    type?: string;
    status?: string;
    priority?: string;
    projectId?: string;
    userId?: string;
    tenantId?: string;
    /** Percent done. Absent: unknown. */
    progress?: number;
    data?: Data;
}

/** Something a person should read. */
export interface ClientNotification<Data = Json> {
    title?: string;
    body?: string;
    severity?: 'info' | 'success' | 'warning' | 'error' | (string & {});
    taskId?: string;
    data?: Data;
}

/** A task needs a human decision. */
export interface ManualReviewAlert<Data = Json> {
    queue?: string;
    reason?: string;
    priority?: 'low' | 'normal' | 'high' | 'critical' | (string & {});
    title?: string;
    body?: string;
    taskId?: string;
    /** By when: RFC 3339. */
    dueTime?: string;
    rule?: string;
    data?: Data;
    tenantId?: string;
    projectId?: string;
    userId?: string;
    type?: string;
    event?: string;
    /** What commands name. Absent: the review has no life of its own. */
    reviewId?: string;
}

/** A review is from now on as it says here. */
export interface ReviewUpdate {
    id?: string;
    /** One more with each change. A command names the one that the person saw. */
    version?: number;
    state?: 'open' | 'claimed' | 'decided' | 'closed' | (string & {});
    /** Who has it, or has decided. */
    by?: string;
    /** The id of the command that led here. */
    command?: string;
    decision?: string;
    queue?: string;
    reason?: string;
    priority?: string;
    title?: string;
    taskId?: string;
    dueTime?: string;
    tenantId?: string;
    projectId?: string;
    userId?: string;
    type?: string;
    /** What may be decided, as long as something may. */
    decisions?: string[];
}

/** A command that was wrong by itself. */
export interface ReviewRefusal {
    id?: string;
    command?: string;
    by?: string;
    reason?: 'claimed' | 'not_claimed' | 'unknown_decision' | 'own_task' | 'limit' | (string & {});
    taskId?: string;
}

export interface TaskStatusNotification<Data = Json> extends NotificationHead {
    taskStatus: TaskStatusUpdate<Data>;
}
export interface ClientNotificationNotification<Data = Json> extends NotificationHead {
    clientNotification: ClientNotification<Data>;
}
export interface ReviewAlertNotification<Data = Json> extends NotificationHead {
    reviewAlert: ManualReviewAlert<Data>;
}
export interface ReviewUpdatedNotification extends NotificationHead {
    reviewUpdate: ReviewUpdate;
}
export interface ReviewRefusedNotification extends NotificationHead {
    reviewRefusal: ReviewRefusal;
}

/**
 * Events of your own, which rules make by `type: custom`: what their handlers get, by name. Add yours:
 *
 *     declare module './events.js' {
 *         interface CustomEvents { 'order.shipped': { id: string; total: number } }
 *     }
 */
export interface CustomEvents {}

/** By the client-side name of the event. */
export interface NotificationsByEvent {
    'task.status': TaskStatusNotification;
    notification: ClientNotificationNotification;
    'review.alert': ReviewAlertNotification;
    'review.updated': ReviewUpdatedNotification;
    'review.refused': ReviewRefusedNotification;
}
export type Notification = NotificationsByEvent[keyof NotificationsByEvent];
/** What a handler gets, by the name of its event. */
export interface ArgumentsByEvent extends NotificationsByEvent, CustomEvents {}

/* --- What happens to a session, in every transport */

/** `kind:key`, e.g. task:42. */
export type Room = `${string}:${string}`;
/** Opaque. */
export type Cursor = string;

/** A room that nobody asked for is given: the rights have grown. In Socket.IO also before the answer to a `subscribe`. */
export interface Subscribed {
    room: Room;
}
export interface Unsubscribed {
    room: Room;
    reason?: string;
}
/** The session is not the one that was asked for: what was missed is lost to this client, load the state anew. */
export interface SessionLost {
    recovered: false;
    reason: string;
}
/** The broker is away: nothing new arrives, nothing is lost. Milliseconds since 1970. */
export interface Stale {
    since: number;
}
/** What a subscription may bring of its room's past: what is since a time (milliseconds since 1970, or RFC 3339), the last so many, or both. */
export type HistoryOptions = { since: number | string; last?: number } | { since?: number | string; last: number };
/** A notification of a room's past, before the answer to the subscription that asked for it. May have been given live as well. */
export type History = {
    [Event in keyof ArgumentsByEvent]: { room: Room; event: Event; data: ArgumentsByEvent[Event] };
}[keyof ArgumentsByEvent];
/** With `presence`: tell who is in the room. */
export type SubscribeOptions = ((HistoryOptions | StateOptions) & { presence?: boolean }) | { presence: true };
/** Who is in a room: first, and whenever changes were missed. */
export interface PresenceSnapshot {
    room: Room;
    users: string[];
    /** How many are there; more than are named if it is not complete. */
    count: number;
    /** All are named, and the gateway has heard of the others. */
    complete: boolean;
}
/** Who came and who went. */
export interface PresenceChange {
    room: Room;
    joined: string[];
    left: string[];
    count: number;
}
/** By which member it has, `users` or `joined`, it is one or the other. */
export type Presence = PresenceSnapshot | PresenceChange;
export interface HistorySummary {
    /** So many came. */
    count: number;
    /** They are all that was asked for; else a limit or retention has cut off the oldest. */
    complete: boolean;
}
/** What a subscription may bring instead: what the room shows now. */
export interface StateOptions {
    state: true;
    since?: never;
    last?: never;
}
/** Some of the room's items, each with the last notification about it, before the answer to the subscription that asked for them. */
export interface State {
    room: Room;
    /** Of this answer: forget what the page shows of the room's items. A room without items gives one such event, with none in it. */
    first: boolean;
    /** To be handled as when they come live, in this order. */
    items: { [Event in keyof ArgumentsByEvent]: { event: Event; data: ArgumentsByEvent[Event] } }[keyof ArgumentsByEvent][];
}
export interface StateSummary {
    /** So many items came. */
    count: number;
    /** They are all that there are; else what has not changed since `since` may be missing. */
    complete: boolean;
    /** What has changed since then (milliseconds since 1970) is in it; 0: it is complete. */
    since: number;
}
/** Bring a fresh token within this time. */
export interface TokenExpired {
    graceMs: number;
}

/* --- Socket.IO. The cursor is every event's last argument; the stock client keeps it by itself. */

type CustomHandlers = { [Event in keyof CustomEvents]: (argument: CustomEvents[Event], cursor: Cursor) => void };

export interface ServerToClientEvents extends CustomHandlers {
    'task.status': (notification: TaskStatusNotification, cursor: Cursor) => void;
    notification: (notification: ClientNotificationNotification, cursor: Cursor) => void;
    'review.alert': (notification: ReviewAlertNotification, cursor: Cursor) => void;
    'review.updated': (notification: ReviewUpdatedNotification, cursor: Cursor) => void;
    'review.refused': (notification: ReviewRefusedNotification, cursor: Cursor) => void;
    history: (about: History, cursor: Cursor) => void;
    state: (about: State, cursor: Cursor) => void;
    presence: (about: Presence, cursor: Cursor) => void;
    subscribed: (about: Subscribed, cursor: Cursor) => void;
    unsubscribed: (about: Unsubscribed, cursor: Cursor) => void;
    session: (about: SessionLost, cursor: Cursor) => void;
    stale: (about: Stale, cursor: Cursor) => void;
    live: (about: Record<string, never>, cursor: Cursor) => void;
    cursor: (cursor: Cursor) => void;
    token_expired: (about: TokenExpired) => void;
    /** Why the connection is about to end, or what an event without an answer has come to. */
    error: (refusal: Refusal) => void;
}

export interface Refusal {
    /** For programs. More words may come: treat an unknown one as the general case. */
    code: string;
    message: string;
    /** Seconds, with rate_limited: when to try again. */
    retryAfter?: number;
}
export type Answer = { ok: true; history?: HistorySummary; state?: StateSummary } | { ok: false; error: Refusal };

/** About an event to the backend. */
export interface AboutEvent {
    /** By which the backend knows an event that is sent again, because nobody heard the answer. */
    id?: string;
    /** The session must be in it. */
    room?: Room;
    traceparent?: string;
    tracestate?: string;
}

/** Of an event that `gateway.access` names; add yours: `interface Mine extends ClientToServerEvents { comment: EventToBackend<{ text: string }> }`. */
export type EventToBackend<Payload = Json> = (payload: Payload, about: AboutEvent, answer: (answer: Answer) => void) => void;

/** The answer is not optional, as it need not be by the protocol: else `emitWithAck` would lose its type. */
export interface ClientToServerEvents {
    subscribe: (...request: [room: Room | { room: Room }, answer: (answer: Answer) => void]
        | [room: Room | { room: Room }, options: SubscribeOptions | null, answer: (answer: Answer) => void]) => void;
    unsubscribe: (room: Room | { room: Room }, answer: (answer: Answer) => void) => void;
    token: (token: string | { token: string }, answer: (answer: Answer) => void) => void;
}

/** CONNECT's `auth`. `user` and `tenant`: development mode only. */
export interface Auth {
    token?: string;
    user?: string;
    tenant?: string;
}
/** A CONNECT_ERROR's error: why, in `data`. */
export interface ConnectError extends Error {
    data?: Refusal;
}

/* --- smartstack.v1.json. The meaning of each message is in gateway/protocol/README.md. */

export type MessageId = string | number;

export type ClientMessage =
    | { type: 'connect'; id?: MessageId; token?: string; session?: string; cursor?: Cursor; heartbeat?: boolean; auth?: Auth }
    | { type: 'subscribe'; id?: MessageId; rooms: Room[]; since?: number | string; last?: number; presence?: boolean }
    | { type: 'subscribe'; id?: MessageId; rooms: Room[]; state: true; since?: never; last?: never; presence?: boolean }
    | { type: 'unsubscribe'; id?: MessageId; rooms: Room[] }
    | { type: 'event'; id?: MessageId; event: string; data?: Json; eventId?: string; room?: Room; traceparent?: string; tracestate?: string }
    | { type: 'token'; id?: MessageId; token: string }
    | { type: 'ping' | 'pong'; id?: MessageId };

export interface Welcome {
    id?: MessageId;
    sid: string;
    /** To resume. Absent: recovery is off. */
    session?: string;
    recovered: boolean;
    reason?: string;
    pingIntervalMs: number;
    pingTimeoutMs: number;
    cursor?: Cursor;
}
export type NotificationMessage = {
    [Event in keyof ArgumentsByEvent]: { type: 'notification'; event: Event; data: ArgumentsByEvent[Event]; cursor?: Cursor };
}[keyof ArgumentsByEvent];

export type ServerMessage =
    | ({ type: 'welcome' } & Welcome)
    | NotificationMessage
    | ({ type: 'history'; cursor?: Cursor } & History)
    | ({ type: 'state'; cursor?: Cursor } & State)
    | ({ type: 'presence'; cursor?: Cursor } & Presence)
    | { type: 'cursor'; cursor: Cursor }
    | { type: 'ack'; id: MessageId; history?: HistorySummary; state?: StateSummary }
    | { type: 'error'; id?: MessageId; error: Refusal & { rooms?: { room: string; code: string }[] } }
    | ({ type: 'subscribed'; cursor?: Cursor } & Subscribed)
    | ({ type: 'unsubscribed'; cursor?: Cursor } & Unsubscribed)
    | ({ type: 'stale'; cursor?: Cursor } & Stale)
    | { type: 'live'; cursor?: Cursor }
    | ({ type: 'token_expired' } & TokenExpired)
    | { type: 'ping' }
    | { type: 'pong'; id?: MessageId };

/* --- Server-sent events: what JSON.parse(event.data) gives, by event.type. */

export interface StreamEvents extends ArgumentsByEvent {
    history: History;
    presence: Presence;
    state: State;
    session: { sid: string; recovered: boolean; reason?: string; history?: HistorySummary; state?: StateSummary };
    subscribed: Subscribed;
    unsubscribed: Unsubscribed;
    stale: Stale;
    live: Record<string, never>;
    token_expired: TokenExpired;
    /** Trouble of the gateway's: the stream ends, and the EventSource comes back by itself. */
    unavailable: { error: Refusal };
}
