package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"example.com/sse-demo/routes/job"
	"example.com/sse-demo/routes/job/relay"
)

// answerKey is the variable with the key for --answer-url. It has no flag,
// because others can see those.
const answerKey = "SSE_ANSWER_KEY"

// checkAnswers returns an error that contains no secret.
func (f *flags) checkAnswers() error {
	if f.AnswerTimeout <= 0 {
		return errors.New("--answer-timeout must be above 0")
	}
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
		URL: f.AnswerURL, API: f.AnswerAPI, Model: f.AnswerModel, Silence: f.AnswerTimeout,
		Key: strings.TrimSpace(os.Getenv(answerKey)), // a file that it was read from ends with a newline
	})
}
