/**
 * Opens a stream that reconnects by itself. No handler is called before openStream has returned, or after "closed".
 * @param {Asked<string | URL>} url @param {Options} [options] @returns {EventStream}
 */
export function openStream(url: Asked<string | URL>, options?: Options): EventStream;
export type State = "connecting" | "open" | "reconnecting" | "closed";
/**
 * id: the last one as of this event; name: or "message".
 */
export type StreamEvent = {
    id: string;
    name: string;
    data: string;
};
/**
 * lastEventId: the last one that can be sent back.
 */
export type EventStream = {
    close(): void;
    readonly state: State;
    readonly lastEventId: string;
};
/**
 * A value, or a function that is asked before each attempt.
 */
export type Asked<T> = T | (() => T | Promise<T>);
/**
 * Problem details (RFC 9457): the server's own, or title and status of its status line. The status is 0 if there is
 * none: the network failed, the stream was silent for too long, or one of the caller's functions has thrown.
 */
export type Problem = {
    title: string;
    status: number;
    detail?: string;
    [member: string]: unknown;
};
export type Options = {
    /**
     * begin after this event
     */
    lastEventId?: string | undefined;
    headers?: Asked<HeadersInit | undefined>;
    /**
     * GET, or POST if there is a body. Only GET is repeated; others go on by GET at Location
     */
    method?: string | undefined;
    /**
     * a ReadableStream can be sent once; a function can give a new one
     */
    body?: Asked<BodyInit | null | undefined>;
    /**
     * as for fetch
     */
    credentials?: RequestCredentials | undefined;
    /**
     * name of the event that ends the stream
     */
    until?: string | undefined;
    /**
     * ms, if the server sends no SSE-Heartbeat: three times that without a byte is too long
     */
    heartbeat?: number | undefined;
    /**
     * close the connection of a page that has been hidden for a minute, until it is shown
     */
    hidden?: "close" | undefined;
    /**
     * closes the stream
     */
    signal?: AbortSignal | undefined;
    onEvent?: ((event: StreamEvent) => unknown) | undefined;
    onState?: ((state: State) => unknown) | undefined;
    onProblem?: ((problem: Problem) => unknown) | undefined;
    /**
     * instead of the global one: to watch the bytes
     */
    fetch?: ((url: URL, init: RequestInit) => Promise<Response>) | undefined;
};
