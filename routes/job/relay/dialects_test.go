package relay_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"example.com/sse-demo/routes/job"
)

// An exchange is the body of an answer, and what becomes of it: its text, and the error, of
// which each of these words is a part. None means that the answer is complete.
type exchange struct {
	body string
	text string
	says []string
}

func (tt exchange) test(t *testing.T, path string) {
	t.Helper()
	text, _, err := ask(t, path, func(w http.ResponseWriter, _ *http.Request) { send(w, tt.body) })
	if text != tt.text {
		t.Errorf("%q, want %q", text, tt.text)
	}
	if (err != nil) != (len(tt.says) > 0) {
		t.Errorf("error %v, want %q", err, tt.says)
	}
	for _, word := range tt.says {
		if err != nil && !strings.Contains(err.Error(), word) {
			t.Errorf("%v; want %q in it", err, word)
		}
	}
}

func data(lines ...string) string { return "data: " + strings.Join(lines, "\n\ndata: ") + "\n\n" }

// chunk is a chunk of a chat completion that has this delta and reason to finish.
func chunk(delta, finish string) string {
	return `{"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{` + delta + `},"finish_reason":` + finish + `}]}`
}

func finished(word string) string { return data(chunk("", `"`+word+`"`)) }

// TestChat are the forms of chat completions.
func TestChat(t *testing.T) {
	begun := role + piece("Hel")
	unfinished := []string{"without saying that it is complete"}
	for name, tt := range map[string]exchange{
		"stop":                   {begun + finished("stop") + done, "Hel", nil},
		"eos":                    {begun + finished("eos") + done, "Hel", nil},
		"end_turn":               {begun + finished("end_turn"), "Hel", nil},
		"[DONE] alone":           {begun + done, "Hel", nil},
		"[DONE] with no blank":   {begun + "data: [DONE]", "Hel", nil},
		"[DONE] with no line":    {begun + "data:[DONE]\n", "Hel", nil},
		"stop with no blank":     {begun + strings.TrimSpace(finished("stop")), "Hel", nil},
		"piece with the stop":    {data(chunk(`"content":"Hel"`, `"stop"`)), "Hel", nil},
		"a piece after the stop": {begun + finished("stop") + piece("lo") + done, "Hello", nil},
		"stop in every chunk":    {data(chunk(`"content":"Hel"`, `"stop"`), chunk(`"content":"lo"`, `"stop"`)), "Hello", nil},
		"empty reason":           {data(chunk(`"content":"Hel"`, `""`)) + done, "Hel", nil},
		"no end":                 {begun, "Hel", unfinished},
		"cut in an event":        {begun + `data: {"choices":[{"del`, "Hel", []string{"is cut off", "choices"}},
		"cut in [DONE]":          {begun + `data: [DO`, "Hel", []string{"is cut off"}},
		"length":                 {begun + finished("length") + done, "Hel", []string{`"length"`, "ask for a shorter one"}},
		"max_tokens":             {begun + finished("max_tokens"), "Hel", []string{`"max_tokens"`}},
		"content_filter":         {begun + finished("content_filter") + done, "Hel", []string{`"content_filter"`, "in other words"}},
		"tool_calls":             {begun + finished("tool_calls") + done, "Hel", []string{`"tool_calls"`}},
		"abort":                  {begun + finished("abort") + done, "Hel", []string{`"abort"`}},
		"network_error":          {begun + finished("network_error") + done, "Hel", []string{`"network_error"`}},
		"[DONE] as a word":       {begun + finished("[DONE]") + done, "Hel", []string{`"[DONE]"`}},
		"a word nobody knows":    {begun + finished("STOP") + done, "Hel", []string{`"STOP"`}},
		"a failure, then stop":   {begun + finished("length") + finished("stop") + done, "Hel", []string{`"length"`}},
		"a word with the key":    {begun + finished(key), "Hel", []string{`"[key]"`}},
		"empty data":             {"data:\n\n" + begun + "data: \n\n" + done, "Hel", nil},
		"error in a ping":        {"event: ping\ndata: {\"detail\":\"x\",\"status\":500}\n\n" + begun + done, "Hel", nil},
		"message and type":       {begun + data(`{"message":"overloaded","type":"server_busy"}`) + done, "Hel", []string{"overloaded, server_busy"}},
		"ping":                   {"event: ping\ndata: 2024-01-01 00:00:00.0\n\n" + begun + "event: ping\ndata: {}\n\nevent: ping\n\n" + done, "Hel", nil},
		"other names":            {begun + "event: usage\ndata: " + chunk(`"content":"x"`, `"length"`) + "\n\n" + done, "Hel", nil},
		"named message":          {"event: message\ndata: " + chunk(`"content":"Hel"`, `"stop"`) + "\n\n", "Hel", nil},
		"thinking":               {data(chunk(`"reasoning_content":"hm","reasoning":"hm"`, "null")) + begun + done, "Hel", nil},
		"tool call":              {data(chunk(`"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}}]`, "null")) + begun + done, "Hel", nil},
		"parts": {
			data(
				chunk(`"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]`, "null"),
				chunk(`"content":[{"type":"text","text":"Hel"},{"type":"image_url","text":{"alt":"x"}},{"type":"output_text","text":"lo"}]`, "null"),
				chunk(`"content":[]`, `"stop"`)), "Hello", nil,
		},
		"half a pair":             {data(chunk(`"content":"ok \ud83d"`, "null"), chunk(`"content":""`, "null"), chunk(`"content":"\uDE00!"`, "null")) + done, "ok \U0001f600!", nil},
		"half a pair in parts":    {data(chunk(`"content":[{"type":"text","text":"\uD83D"},{"type":"text","text":"\ude00"}]`, "null")) + done, "\U0001f600", nil},
		"half a pair at the end":  {data(chunk(`"content":"ok \ud83d"`, "null"), chunk(`"content":""`, `"stop"`)) + done, "ok \ufffd", nil},
		"half a pair, cut off":    {data(chunk(`"content":"ok \uD83D"`, "null")), "ok \ufffd", unfinished},
		"nothing but half a pair": {data(chunk(`"content":"\ud83d"`, "null")) + done, "\ufffd", nil},
		"half a pair, alone":      {data(chunk(`"content":"\ud83d"`, "null"), chunk(`"content":"x"`, "null")) + done, "\ufffdx", nil},
		"no half of a pair":       {data(chunk(`"content":"\\\\ud83d"`, "null"), chunk(`"content":"\\ude00"`, "null")) + done, `\\ud83d\ude00`, nil},
		"no escape of JSON":       {begun + data(chunk(`"content":"\ "`, "null")) + done, "Hel", []string{"no part of an answer"}},
		"choices are no list":     {begun + data(`{"choices":"x"}`) + done, "Hel", []string{"no part of an answer"}},
		"choices are an object":   {begun + data(`{"choices":{"delta":{"content":"x"}}}`) + done, "Hel", []string{"no part of an answer"}},
		"a choice is no object":   {begun + data(`{"choices":["stop"]}`) + done, "Hel", []string{"no part of an answer"}},
		"a list of words":         {begun + data(chunk("", `["stop"]`)) + done, "Hel", []string{`[\"stop\"]`}},
		"delta is a string":       {begun + data(`{"choices":[{"index":0,"delta":"x"}]}`) + done, "Hel", []string{"no part of an answer"}},
		"a message of a chat":     {data(`{"message":{"content":"x"}}`) + begun + done, "Hel", nil},
		"content is 0":            {begun + data(chunk(`"content":0`, "null")) + done, "Hel", []string{"no part of an answer"}},
		"content is false":        {begun + data(chunk(`"content":false`, "null")) + done, "Hel", []string{"no part of an answer"}},
		"content is a number":     {begun + data(chunk(`"content":1`, "null")) + done, "Hel", []string{"no part of an answer"}},
		"refusal": {
			data(chunk(`"content":null,"refusal":"I cannot "`, "null"), chunk(`"refusal":"help."`, "null"), chunk("", `"stop"`)) + done, "",
			[]string{"refuses to answer: I cannot help."},
		},
		"refusal, no end":    {data(chunk(`"refusal":"No."`, "null")), "", []string{"No."}},
		"refusal and filter": {data(chunk(`"refusal":"No."`, `"content_filter"`)), "", []string{"content_filter", "No."}},
		"empty":              {role + finished("stop") + done, "", []string{"before its first word"}},
		"no JSON":            {begun + data("<p>") + done, "Hel", []string{"no part of an answer", "<p>"}},
		"a list":             {begun + data("[1]") + done, "Hel", []string{"no part of an answer", "[1]"}},
		"no choices":         {begun + data("{}", `{"usage":{"total_tokens":9}}`, `{"type":"later","title":"x"}`) + done, "Hel", nil},
		"no error":           {data(`{"error":null,"error_code":0,"choices":[{"index":0,"delta":{"content":"Hel"}}]}`) + done, "Hel", nil},
	} {
		t.Run(name, func(t *testing.T) { tt.test(t, chat) })
	}
}

// TestErrors are the forms in which a server may say in a stream that it has failed, here in
// the middle of an answer that seems to end well.
func TestErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		event string
		says  []string
	}{
		"error object":         {data(`{"error":{"message":"no such\n model","code":1}}`), []string{"no such model, 1"}},
		"error text":           {data(`{"error":"overloaded"}`), []string{"overloaded; try again"}},
		"Error line":           {"Error: overloaded\n\n", []string{"overloaded"}},
		"list of errors":       {`[{"error":{"code":503,"message":"overloaded"}}]` + "\n\n", []string{"503, overloaded"}},
		"error in a chunk":     {data(`{"choices":[],"error":{"message":"overloaded","code":502}}`), []string{"overloaded, 502"}},
		"error of a choice":    {data(`{"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"message":"overloaded"}}]}`), []string{`"error"`, "overloaded"}},
		"error without words":  {data(`{"error":{"reason":"full"}}`), []string{"full"}},
		"error with a name":    {"event: oops\ndata: {\"error\":\"overloaded\"}\n\n", []string{"overloaded"}},
		"error event":          {"event: error\ndata: {\"message\":\"overloaded\"}\n\n", []string{"overloaded"}},
		"error event of text":  {"event: error\ndata: overloaded\n\n", []string{"overloaded"}},
		"error field":          {"error: {\"code\":500,\"message\":\"context too long\",\"type\":\"server_error\"}\n\n", []string{"context too long, server_error"}},
		"error field of text":  {"error: overloaded\n\n", []string{"overloaded"}},
		"error_code":           {data(`{"text":"HIGH TRAFFIC","error_code":50001}`), []string{"HIGH TRAFFIC, 50001"}},
		"error_type":           {data(`{"text":"overloaded","error_type":"generation"}`), []string{"overloaded, generation"}},
		"error and error_type": {data(`{"error":"overloaded","error_type":"generation"}`), []string{"overloaded, generation"}},
		"object named error":   {data(`{"object":"error","message":"too long","type":"BadRequestError","code":400}`), []string{"too long, BadRequestError"}},
		"type error":           {data(`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), []string{"overloaded_error, Overloaded"}},
		"detail alone":         {data(`{"detail":"overloaded"}`), []string{"overloaded"}},
		"list of details":      {data(`{"detail":[{"loc":["body"],"msg":"too long","type":"value_error"}]}`), []string{"too long, value_error"}},
		"message alone":        {data(`{"code":500,"message":"overloaded"}`), []string{"500, overloaded"}},
		"with the key":         {data(`{"error":"bad ` + key + `"}`), []string{"bad [key]"}},
		"no blank line":        {strings.TrimSpace(data(`{"error":"overloaded"}`)), []string{"overloaded"}},
		"type of an error":     {data(`{"message":"too long","type":"invalid_request_error"}`), []string{"too long, invalid_request_error"}},
		"error_msg":            {data(`{"error_msg":"overloaded","error_code":336100}`), []string{"overloaded, 336100"}},
		"errors":               {data(`{"errors":[{"message":"overloaded","code":7}]}`), []string{"overloaded, 7"}},
		"error line":           {`{"error":{"message":"overloaded"}}` + "\n\n", []string{"overloaded"}},
		"detail line":          {`{"detail":"overloaded"}` + "\n\n", []string{"overloaded"}},
		"another error event":  {"event: Server_Error\ndata: {\"message\":\"overloaded\"}\n\n", []string{"overloaded"}},
		"error that is empty":  {data(`{"error":{}}`), []string{`{"error":{}}`}}, // JavaScript's, as JSON
		"error is true":        {data(`{"error":true,"message":"overloaded"}`), []string{"overloaded"}},
		"error and message":    {data(`{"statusCode":502,"error":"Bad Gateway","message":"overloaded"}`), []string{"overloaded"}},
		"problem details":      {data(`{"type":"about:blank","title":"Bad Gateway","status":502,"detail":"overloaded"}`), []string{"Bad Gateway, 502, overloaded"}},
		"problem of a type":    {data(`{"type":"https://example.com/busy","title":"Busy","detail":"overloaded"}`), []string{"https://example.com/busy, Busy, overloaded"}},
		"problem, no detail":   {data(`{"type":"about:blank","title":"Bad Gateway","status":502}`), []string{"Bad Gateway, 502"}},
		"message and class":    {data(`{"message":"overloaded","type":"ThrottlingException"}`), []string{"overloaded, ThrottlingException"}},
		"message and status":   {data(`{"message":"overloaded","status":529}`), []string{"overloaded, 529"}},
		"error in an error":    {data(`{"error":{"message":"Upstream failed","error":{"message":"overloaded","code":502}}}`), []string{"Upstream failed, overloaded, 502"}},
		"problem line":         {`{"title":"Bad Gateway","status":502}` + "\n\n", []string{"Bad Gateway, 502"}},
		"error over lines":     {"{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"overloaded\"\n  }\n}\n\n", []string{"503, overloaded"}},
		"list over lines":      {"[{\r\n\"error\":\r\n{\"message\": \"overloaded\"}\r\n}\r\n]\r\n\r\n", []string{"\"error\": overloaded"}},
		"lines without an end": {"{\n  \"error\": {\n\n", []string{"no part of an answer", `{ "error": {`}},
		"half a line":          {`{"error":` + "\n\n", []string{"no part of an answer"}},
		"empty error event":    {"event: error\ndata:\n\n", []string{"no reason is given"}},
	} {
		for path, answer := range map[string][2]string{
			chat:      {piece("Hel"), finished("stop")},
			responses: {outputText("Hel"), responded("completed", "null")},
			messages:  {textDelta("Hel"), stopped(`"end_turn"`)},
		} {
			t.Run(name+" to "+path, func(t *testing.T) {
				if name == "error of a choice" && path != chat {
					t.Skip("only chunks have choices")
				}
				exchange{answer[0] + tt.event + "\n" + answer[1] + done, "Hel", tt.says}.test(t, path)
				exchange{answer[0] + answer[1] + tt.event, "Hel", tt.says}.test(t, path)
			})
		}
	}
}

// typed is an event whose name is also the type in its data.
func typed(name, fields string) string {
	return "event: " + name + "\n" + data(`{"type":"`+name+`",`+fields+`}`)
}

func outputText(text string) string {
	quoted, _ := json.Marshal(text)
	return typed("response.output_text.delta", `"item_id":"m1","output_index":0,"content_index":0,"sequence_number":4,"delta":`+string(quoted))
}

// responded is the last event of a response with this status.
func responded(status, failure string) string {
	return typed("response."+status, `"response":{"id":"r1","status":"`+status+`","error":`+failure+`,"incomplete_details":null,"output":[]}`)
}

// TestResponses are the forms of OpenAI's Responses.
func TestResponses(t *testing.T) {
	begun := typed("response.created", `"response":{"id":"r1","status":"in_progress","error":null}`) +
		typed("response.output_item.added", `"item":{"type":"message","status":"in_progress","content":[]}`) +
		typed("response.content_part.added", `"part":{"type":"output_text","text":""}`) + outputText("Hel")
	ended := typed("response.output_text.done", `"text":"Hel"`) +
		typed("response.content_part.done", `"part":{"type":"output_text","text":"Hel"}`) +
		typed("response.output_item.done", `"item":{"type":"message","status":"completed","content":[{"type":"output_text","text":"Hel"}]}`) +
		responded("completed", "null")
	for name, tt := range map[string]exchange{
		"completed":            {begun + ended, "Hel", nil},
		"completed and [DONE]": {begun + ended + done, "Hel", nil},
		"no blank line":        {begun + strings.TrimSpace(ended), "Hel", nil},
		"long text":            {begun + typed("response.output_text.done", `"text":"`+strings.Repeat("\\u4f60", job.MaxText/3)+`"`) + ended, "Hel", nil},
		"no names":             {data(`{"type":"response.output_text.delta","delta":"Hel"}`, `{"type":"response.completed","response":{}}`), "Hel", nil},
		"no types":             {"event: response.output_text.delta\ndata: {\"delta\":\"Hel\"}\n\nevent: response.completed\ndata: {}\n\n", "Hel", nil},
		"half a pair":          {data(`{"type":"response.output_text.delta","delta":"\ud83d"}`, `{"type":"response.output_text.delta","delta":"\ude00"}`) + ended, "\U0001f600", nil},
		"reasoning": {
			typed("response.reasoning_text.delta", `"delta":"hm"`) + typed("response.reasoning_summary_text.delta", `"delta":"hm"`) + begun + ended, "Hel", nil,
		},
		"tool call":             {typed("response.function_call_arguments.delta", `"delta":"{"`) + begun + ended, "Hel", nil},
		"text at its end":       {typed("response.output_text.done", `"text":"Hel"`) + responded("completed", "null"), "Hel", nil},
		"texts at their ends":   {typed("response.output_text.done", `"text":"Hel"`) + typed("response.output_text.done", `"text":"lo"`) + responded("completed", "null"), "Hello", nil},
		"text after no delta":   {typed("response.output_text.delta", `"delta":""`) + typed("response.output_text.done", `"text":"Hel"`) + responded("completed", "null"), "Hel", nil},
		"text at its end, cut":  {typed("response.output_text.done", `"text":"Hel"`), "Hel", []string{"without saying that it is complete"}},
		"unknown type":          {typed("response.future", `"delta":{"text":"x"}`) + "event: ping\ndata: now\n\n" + begun + ended, "Hel", nil},
		"no end":                {begun, "Hel", []string{"without saying that it is complete"}},
		"cut":                   {begun + `event: response.completed` + "\n" + `data: {"type":"resp`, "Hel", []string{"is cut off"}},
		"incomplete":            {begun + typed("response.incomplete", `"response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}`), "Hel", []string{`"max_output_tokens"`}},
		"filter":                {begun + typed("response.incomplete", `"response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}`), "Hel", []string{`"content_filter"`}},
		"no reason":             {begun + responded("incomplete", "null"), "Hel", []string{`"incomplete"`}},
		"failed":                {begun + responded("failed", `{"code":"server_error","message":"The model has failed."}`), "Hel", []string{`"failed"`, "server_error, The model has failed."}},
		"cancelled":             {begun + responded("cancelled", "null"), "Hel", []string{`"cancelled"`}},
		"not completed":         {begun + typed("response.completed", `"response":{"status":"incomplete"}`), "Hel", []string{`"incomplete"`}},
		"response is a word":    {begun + typed("response.completed", `"response":"completed"`), "Hel", []string{"no part of an answer"}},
		"a list of statuses":    {begun + typed("response.completed", `"response":{"status":["completed"]}`), "Hel", []string{`[\"completed\"]`}},
		"status is no text":     {begun + typed("response.completed", `"response":{"status":true}`), "Hel", []string{`"true"`}},
		"status and reason":     {begun + typed("response.completed", `"response":{"status":"completed","incomplete_details":{"reason":"max_output_tokens"}}`), "Hel", []string{`"max_output_tokens"`}},
		"status, not type":      {begun + typed("response.incomplete", `"response":{"status":"completed"}`), "Hel", []string{`"incomplete"`}},
		"details are no object": {begun + typed("response.completed", `"response":{"status":"completed","incomplete_details":"x"}`), "Hel", []string{"no part of an answer"}},
		"error":                 {begun + typed("error", `"code":"rate_limit_exceeded","message":"Slow down.","param":null,"sequence_number":9`), "Hel", []string{"rate_limit_exceeded, Slow down."}},
		"refusal":               {typed("response.refusal.delta", `"delta":"I can"`) + typed("response.refusal.delta", `"delta":"not."`) + typed("response.refusal.done", `"refusal":"I cannot."`) + responded("completed", "null"), "", []string{"refuses to answer: I cannot."}},
		"refusal at once":       {typed("response.refusal.done", `"refusal":"I cannot."`) + responded("completed", "null"), "", []string{"refuses to answer: I cannot."}},
		"unknown message":       {typed("response.future", `"message":"x","detail":"y"`) + data(`{"type":"response.future","message":"x"}`) + begun + ended, "Hel", nil},
		"half a pair, end":      {typed("response.output_text.delta", `"delta":"\ud83d"`) + responded("completed", "null"), "\ufffd", nil},
		"delta is no text":      {begun + typed("response.output_text.delta", `"delta":7`) + ended, "Hel", []string{"no part of an answer"}},
		"empty":                 {responded("completed", "null"), "", []string{"before its first word"}},
	} {
		t.Run(name, func(t *testing.T) { tt.test(t, responses) })
	}
}

func textDelta(text string) string {
	quoted, _ := json.Marshal(text)
	return typed("content_block_delta", `"index":0,"delta":{"type":"text_delta","text":`+string(quoted)+`}`)
}

func stopped(reason string) string {
	return typed("content_block_stop", `"index":0`) + typed("message_delta", `"delta":{"stop_reason":`+reason+`,"stop_sequence":null},"usage":{"output_tokens":9}`) +
		"event: message_stop\n" + data(`{"type":"message_stop"}`)
}

// TestMessages are the forms of Anthropic's Messages.
func TestMessages(t *testing.T) {
	begun := typed("message_start", `"message":{"id":"m1","type":"message","role":"assistant","content":[],"stop_reason":null}`) +
		typed("content_block_start", `"index":0,"content_block":{"type":"text","text":""}`) + "event: ping\n" + data(`{"type":"ping"}`) + textDelta("Hel")
	thinking := typed("content_block_start", `"index":0,"content_block":{"type":"thinking","thinking":"","signature":""}`) +
		typed("content_block_delta", `"index":0,"delta":{"type":"thinking_delta","thinking":"hm"}`) +
		typed("content_block_delta", `"index":0,"delta":{"type":"signature_delta","signature":"Eq"}`) + typed("content_block_stop", `"index":0`)
	tool := typed("content_block_start", `"index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}`) +
		typed("content_block_delta", `"index":1,"delta":{"type":"input_json_delta","partial_json":"{"}`)
	for name, tt := range map[string]exchange{
		"end_turn":         {begun + stopped(`"end_turn"`), "Hel", nil},
		"stop_sequence":    {begun + stopped(`"stop_sequence"`), "Hel", nil},
		"and [DONE]":       {begun + stopped(`"end_turn"`) + done, "Hel", nil},
		"no message_stop":  {begun + strings.TrimSpace(typed("message_delta", `"delta":{"stop_reason":"end_turn"}`)), "Hel", nil},
		"no names":         {data(`{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hel"}}`, `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`), "Hel", nil},
		"text in a start":  {typed("content_block_start", `"content_block":{"type":"text","text":"Hel"}`) + stopped(`"end_turn"`), "Hel", nil},
		"half a pair":      {data(`{"type":"content_block_delta","delta":{"type":"text_delta","text":"\ud83d"}}`, `{"type":"content_block_delta","delta":{"type":"text_delta","text":"\ude00"}}`) + stopped(`"end_turn"`), "\U0001f600", nil},
		"thinking":         {thinking + begun + stopped(`"end_turn"`), "Hel", nil},
		"tool_use":         {begun + tool + stopped(`"tool_use"`), "Hel", []string{`"tool_use"`}},
		"unknown types":    {begun + typed("content_block_delta", `"delta":{"type":"citations_delta","citation":{}}`) + typed("future", `"delta":"x"`) + stopped(`"end_turn"`), "Hel", nil},
		"half, at the end": {typed("content_block_delta", `"delta":{"type":"text_delta","text":"\ud83d"}`) + stopped(`"end_turn"`), "\ufffd", nil},
		"unknown message":  {begun + data(`{"type":"future","message":"x"}`) + stopped(`"end_turn"`), "Hel", nil},
		"max_tokens":       {begun + stopped(`"max_tokens"`), "Hel", []string{`"max_tokens"`}},
		"pause_turn":       {begun + stopped(`"pause_turn"`), "Hel", []string{`"pause_turn"`}},
		"refusal":          {begun + stopped(`"refusal"`), "Hel", []string{`"refusal"`}},
		"explained": {
			begun + typed("message_delta", `"delta":{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber","explanation":"No exploits."}}`), "Hel",
			[]string{`"refusal"`, "No exploits."},
		},
		"a word nobody knows": {begun + stopped(`"model_context_window_exceeded"`), "Hel", []string{`"model_context_window_exceeded"`}},
		"delta is a word":     {begun + typed("message_delta", `"delta":"end_turn"`) + done, "Hel", []string{"no part of an answer"}},
		"a list of reasons":   {begun + stopped(`["end_turn"]`) + done, "Hel", []string{`[\"end_turn\"]`}},
		"no reason":           {begun + stopped("null"), "Hel", []string{"without saying that it is complete"}},
		"no end":              {begun, "Hel", []string{"without saying that it is complete"}},
		"cut":                 {begun + "event: message_delta\ndata: {\"type\":\"mess", "Hel", []string{"is cut off"}},
		"overloaded":          {begun + typed("error", `"error":{"type":"overloaded_error","message":"Overloaded"}`), "Hel", []string{"overloaded_error, Overloaded"}},
		"empty":               {stopped(`"end_turn"`), "", []string{"before its first word"}},
	} {
		t.Run(name, func(t *testing.T) { tt.test(t, messages) })
	}
}

// TestRequests: each dialect asks in its own way.
func TestRequests(t *testing.T) {
	conversation := job.Request{Messages: []job.Message{
		{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Hello"}, {Role: "user", Content: "Why?"},
	}}
	for path, tt := range map[string]struct {
		answer, body string
		header       map[string]string
	}{
		chat: {
			piece("x") + done,
			`{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Why?"}],"model":"m","stream":true}`,
			map[string]string{"Authorization": "Bearer " + key, "X-Api-Key": "", "Anthropic-Version": ""},
		},
		responses: {
			outputText("x") + done,
			`{"input":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Why?"}],"model":"m","stream":true}`,
			map[string]string{"Authorization": "Bearer " + key, "X-Api-Key": "", "Anthropic-Version": ""},
		},
		messages: {
			textDelta("x") + done,
			`{"max_tokens":4096,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Why?"}],"model":"m","stream":true,"system":"Be brief."}`,
			map[string]string{"Authorization": "", "X-Api-Key": key, "Anthropic-Version": "2023-06-01"},
		},
	} {
		t.Run(path, func(t *testing.T) {
			kind, stop := start(t, path, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != tt.body || r.Method != http.MethodPost || r.RequestURI != "/v1/"+path+"?api=secret" {
					t.Errorf("%s %s %s", r.Method, r.RequestURI, body)
				}
				tt.header["Content-Type"], tt.header["Accept"], tt.header["Accept-Encoding"] = "application/json", "text/event-stream", "identity"
				for name, want := range tt.header {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %q", name, got)
					}
				}
				send(w, tt.answer)
			})
			defer stop()
			if err := kind.Write(t.Context(), conversation, func(string) error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
}
