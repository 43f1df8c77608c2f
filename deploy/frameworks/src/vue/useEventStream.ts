import { ref, toValue, watchEffect, type MaybeRefOrGetter, type Ref } from 'vue'
import { openStream, type State, type StreamEvent } from '../eventstream.js'

/** Follows a stream while the component is mounted, and returns the stream's state. */
export function useEventStream(url: MaybeRefOrGetter<string>, onEvent: (event: StreamEvent) => void): Ref<State> {
  const state = ref<State>('connecting')
  watchEffect((onCleanup) => {
    const stream = openStream(toValue(url), { onEvent, onState: (next) => { state.value = next } })
    onCleanup(() => stream.close())
  })
  return state
}
