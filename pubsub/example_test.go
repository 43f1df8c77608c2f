package pubsub_test

import (
	"context"
	"fmt"

	"example.com/sse-demo/pubsub"
)

// A subscriber is a position in a log. What it reads was encoded once, when it
// was published.
func ExampleMemory() {
	broker := pubsub.NewMemory(1024, 64<<20)
	subscription := broker.Subscribe([]string{"news"}, pubsub.Start{})
	defer subscription.Close()

	receipt, err := broker.Publish(context.Background(), "news", "greeting", []byte(`{"msg":"hello"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("reached:", receipt.Delivered)

	<-subscription.Ready()
	frames, _ := subscription.Next(nil)
	for _, frame := range frames {
		fmt.Print(string(frame[len("id: ")+len(receipt.ID.String())+1:])) // without the id, which is the time
	}
	// Output:
	// reached: 1
	// event: greeting
	// data: {"msg":"hello"}
}
