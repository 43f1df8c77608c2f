package filebroker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/sse-demo/pubsub"
	"example.com/sse-demo/pubsub/filebroker"
	"example.com/sse-demo/sse"
)

// What was published is there again after a restart.
func Example() {
	folder, err := os.MkdirTemp("", "filebroker")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	run := func(headline string) {
		broker := filebroker.New(filepath.Join(folder, "data"), 1024, 64<<20)
		defer func() { _ = broker.Close() }()
		if err := broker.Start(context.Background()); err != nil {
			fmt.Println(err) // it names the file, and says what is wrong with it
			return
		}
		if _, err := broker.Publish(context.Background(), "news", "", []byte(headline)); err != nil {
			fmt.Println(err) // the disk is full
			return
		}
		news := broker.Subscribe([]string{"news"}, pubsub.Start{Replay: 10})
		defer news.Close()
		frames, _ := news.Next(nil)
		for _, frame := range frames {
			fmt.Println(string(sse.FrameData(frame)))
		}
	}
	run("before the restart")
	run("after it")
	// Output:
	// before the restart
	// before the restart
	// after it
}
