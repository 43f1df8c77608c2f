// Package relay makes jobs whose text is the answer of a language model: it sends
// the prompt to an endpoint that speaks OpenAI's chat/completions, which llama.cpp,
// Ollama, vLLM and the hosted models do, and passes on the pieces that come back as
// an event stream.
//
// Nothing waits for the readers of the answer, so a slow one does not slow the
// upstream down. Everything that the upstream may do wrong ends the job with an
// error that says what to do; what was written before is kept. The key is in no
// error, and it is sent to the host of the URL only: a redirect is not followed.
package relay
