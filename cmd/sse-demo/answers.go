package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/job/relay"
)

// answerKey is the variable with the bearer token for --answer-url. It has no flag,
// because others can see those.
const answerKey = "SSE_ANSWER_KEY"

// checkAnswers returns an error that contains no secret.
func (f *flags) checkAnswers() error {
	if f.AnswerURL == "" {
		if f.AnswerModel != "" {
			return errors.New("--answer-model needs --answer-url")
		}
		return nil
	}
	if _, err := f.answers(); err != nil {
		return fmt.Errorf("--answer-url: %w", err)
	}
	return nil
}

// answers are the jobs that relay the answers of --answer-url.
func (f *flags) answers() (job.Kind, error) {
	return relay.New(relay.Upstream{
		URL: f.AnswerURL, Model: f.AnswerModel,
		Key: strings.TrimSpace(os.Getenv(answerKey)), // a file that it was read from ends with a newline
	})
}
