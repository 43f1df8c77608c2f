// What a strict TypeScript project may write, and what must be an error there.

import {openStream, type EventStream, type Options, type Problem, type State, type StreamEvent} from "../eventstream.js";

const states: State[] = [];
const options: Options = {
  lastEventId: "7",
  headers: async () => ({Authorization: "Bearer x"}),
  body: new ReadableStream<Uint8Array<ArrayBuffer>>(),
  credentials: "include",
  until: "done",
  heartbeat: 15_000,
  hidden: "close",
  signal: AbortSignal.timeout(1000),
  onEvent: ({id, name, data}: StreamEvent) => [id, name, data].join(),
  onState: (state) => states.push(state),
  onProblem: (problem: Problem) => `${problem.status} ${problem.detail ?? problem.title}`,
};
const stream: EventStream = openStream(() => new URL("http://a/"), options);
stream.close();
stream.state satisfies State;
stream.lastEventId satisfies string;

// @ts-expect-error: lastEventId is for reading
stream.lastEventId = "8";
// @ts-expect-error: there is no such state
stream.state === "closing";
// @ts-expect-error: an event's data is a text
openStream("/a", {onEvent: ({data}) => data.price});
// @ts-expect-error: there is no such option
openStream("/a", {hidden: "open"});
// @ts-expect-error: a URL is needed
openStream();
