// Package relay makes jobs whose text is the answer of a language model. It sends a
// conversation to a model API, and passes on the pieces that come back as an event
// stream. It speaks three dialects, a file each: chat completions (OpenAI, llama.cpp,
// Ollama, vLLM and most others), OpenAI's Responses, and Anthropic's Messages.
//
// An answer succeeds only if the upstream has said that it is complete, in a word that
// is known to mean that. Every other end is an error that quotes the upstream and says
// what to do; the pieces until then are kept. No error contains the key, which is sent
// to the host of the URL only: a redirect is not followed.
package relay
