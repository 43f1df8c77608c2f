// Command goclient follows a stream with a client of another project, and prints
// each event as a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	"github.com/tmaxmax/go-sse"
	"gopkg.in/cenkalti/backoff.v1"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goclient launchdarkly|go-sse|r3labs URL")
		os.Exit(2)
	}
	follow := map[string]func(url string) error{"launchdarkly": launchDarkly, "go-sse": goSSE, "r3labs": r3Labs}[os.Args[1]]
	if err := follow(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func report(id, data string) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"id": id, "data": data})
}

func launchDarkly(url string) error {
	stream, err := launchdarkly.SubscribeWithURL(url, launchdarkly.StreamOptionInitialRetry(50*time.Millisecond),
		launchdarkly.StreamOptionErrorHandler(func(error) launchdarkly.StreamErrorHandlerResult { return launchdarkly.StreamErrorHandlerResult{} }))
	if err != nil {
		return err
	}
	for event := range stream.Events {
		report(event.Id(), event.Data())
	}
	return nil
}

func goSSE(url string) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := sse.Client{Backoff: sse.Backoff{InitialInterval: 50 * time.Millisecond, MaxInterval: time.Second}}
	connection := client.NewConnection(request)
	connection.SubscribeToAll(func(event sse.Event) { report(event.LastEventID, event.Data) })
	return connection.Connect()
}

func r3Labs(url string) error {
	client := r3labs.NewClient(url)
	client.ReconnectStrategy = backoff.NewConstantBackOff(50 * time.Millisecond) // it ignores the stream's retry
	for {                                                                        // it returns when a stream ends cleanly
		err := client.SubscribeRaw(func(event *r3labs.Event) { report(string(event.ID), string(event.Data)) })
		if err != nil {
			return err
		}
	}
}
