package routes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"example.com/sse-demo/routes"
	"example.com/sse-demo/sse"
	"example.com/sse-demo/sse/ssetest"
)

// operation returns the description of a request, nil if there is none.
func operation(method, path string) node {
	for template, item := range openAPI["paths"].(node) {
		pattern := compiled(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		if compiled("^" + pattern + "$").MatchString(path) {
			op, _ := item.(node)[strings.ToLower(method)].(node)
			return op
		}
	}
	return nil
}

// seen are the statuses that this run of the tests has had, as "operationId status".
var seen sync.Map

// checkSeen makes a whole run of the tests fail if none has seen a status that
// openapi.json has.
func checkSeen(code int) int {
	if code != 0 || flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.list").Value.String() != "" || testing.Short() {
		return code
	}
	for _, status := range neverSeen() {
		_, _ = fmt.Fprintln(os.Stderr, "no test has seen a status of openapi.json:", status)
		code = 1
	}
	return code
}

func neverSeen() (missing []string) {
	for _, methods := range openAPI["paths"].(node) {
		for _, op := range methods.(node) {
			for status := range op.(node)["responses"].(node) {
				name := op.(node)["operationId"].(string) + " " + status
				if _, ok := seen.Load(name); !ok && status != "500" { // that is a bug, wherever it comes from
					missing = append(missing, name)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// described is a transport that compares each answer with openapi.json.
type described struct {
	t    *testing.T
	next *http.Transport
}

func (d described) CloseIdleConnections() { d.next.CloseIdleConnections() }

func (d described) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	op := operation(r.Method, r.URL.Path)
	if op == nil || op["requestBody"] == nil && r.Body != nil && r.Body != http.NoBody { // a body although none is described
		return response, nil
	}
	what := fmt.Sprintf("%s %s: %d", r.Method, r.URL.Path, response.StatusCode)
	status := strconv.Itoa(response.StatusCode)
	want := resolve(op["responses"].(node)[status])
	seen.Store(op["operationId"].(string)+" "+status, true)
	if want == nil {
		d.t.Errorf("%s is not in openapi.json", what)
		return response, nil
	}
	headers, _ := want["headers"].(node)
	for name, header := range headers {
		value := response.Header.Get(name)
		if wrong := mismatchHeader(resolve(header), value); wrong != "" {
			d.t.Errorf("%s, %s: %s", what, name, wrong)
		}
	}
	contents, isDescribed := want["content"].(node)
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if media == sse.MediaType || !isDescribed || r.Method == http.MethodHead {
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	if wrong := mismatchBody(resolve(contents[media]), media, body); wrong != "" {
		d.t.Errorf("%s: %s", what, wrong)
	}
	return response, err
}

func mismatchHeader(header node, value string) string {
	if value == "" {
		return unless(header["required"] != true, "it is not there")
	}
	var v any = value
	if n, err := strconv.Atoi(value); err == nil && resolve(header["schema"])["type"] == "integer" {
		v = float64(n)
	}
	return mismatch(header["schema"], v)
}

func mismatchBody(described node, media string, body []byte) string {
	if described == nil {
		return "openapi.json has no " + media
	}
	var v any = string(body)
	if strings.HasSuffix(media, "json") {
		if err := json.Unmarshal(body, &v); err != nil {
			return err.Error()
		}
	}
	return mismatch(described["schema"], v)
}

// TestOpenAPIHasTheRoutes compares paths and methods, both ways.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	h := start(t, options())
	var served, described []string
	for _, route := range h.app.Routes() {
		if route.Method != http.MethodHead {
			served = append(served, route.Method+" "+regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}"))
		}
	}
	for path, item := range openAPI["paths"].(node) {
		for method := range item.(node) {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("Echo serves %q\nopenapi.json has %q", served, described)
	}
	response := h.do("GET", "/openapi.json", "")
	body, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(body, routes.Description()) || response.Header.Get("Content-Type") != "application/json" {
		t.Error(err, response.Header)
	}
	if version := openAPI["openapi"]; version != "3.2.0" {
		t.Error(version)
	}
}

// TestOpenAPIHasTheParameters compares names and limits with the structs that
// requests are read into.
func TestOpenAPIHasTheParameters(t *testing.T) {
	for request, structs := range routes.ParamsOf {
		method, path, _ := strings.Cut(request, " ")
		op := operation(method, path)
		query, body, isRequired := node{}, node{}, map[string]bool{}
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			if p := resolve(p); p["in"] == "query" && p["name"] != "lastEventId" { // the description has it as a header
				query[p["name"].(string)] = p["schema"]
				isRequired["query "+p["name"].(string)] = p["required"] == true
			}
		}
		if sent, ok := op["requestBody"].(node); ok {
			schema := resolve(sent["content"].(node)["application/json"].(node)["schema"])
			body = schema["properties"].(node)
			names, _ := schema["required"].([]any)
			for _, name := range names {
				isRequired["json "+name.(string)] = true
			}
		}
		for _, params := range structs {
			for _, field := range reflect.VisibleFields(reflect.TypeOf(params)) {
				for tag, schemas := range map[string]node{"query": query, "json": body} {
					name, ok := field.Tag.Lookup(tag)
					if !ok {
						continue
					}
					rules := strings.Split(field.Tag.Get("validate"), ",")
					if schemas[name] == nil {
						t.Errorf("%s: openapi.json has no %s", request, name)
						continue
					}
					isText := request == "POST /publish" && tag == "query" // required, but only for text
					if got := isRequired[tag+" "+name]; got != slices.Contains(rules, "required") && !isText {
						t.Errorf("%s: %s: required is %v", request, name, got)
					}
					schema := resolve(schemas[name])
					if either, ok := schema["oneOf"].([]any); ok { // or null
						schema = resolve(either[0])
					}
					compareRules(t, request+" "+name, field.Type, rules, schema)
					delete(schemas, name)
				}
			}
		}
		if len(query)+len(body) > 0 {
			t.Errorf("%s: openapi.json has more: %v %v", request, query, body)
		}
	}
}

// compareRules compares the rules of a validate tag with a schema.
func compareRules(t *testing.T, what string, kind reflect.Type, rules []string, schema node) {
	t.Helper()
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	limit := map[reflect.Kind]string{reflect.Int: "imum", reflect.String: "Length", reflect.Slice: "Items"}[kind.Kind()]
	for i, rule := range rules {
		name, value, _ := strings.Cut(rule, "=")
		switch {
		case name == "dive":
			compareRules(t, what, kind.Elem(), rules[i+1:], resolve(schema["items"]))
			return
		case name == "min" || name == "max":
			if got := fmt.Sprintf("%.0f", schema[name+limit]); got != value {
				t.Errorf("%s: %s is %s, want %s", what, name+limit, got, value)
			}
		case name == "unreserved":
			reserved := resolve(schema["not"])["enum"]
			if fmt.Sprint(reserved) != "[gap busy open error]" {
				t.Errorf("%s: %v", what, reserved)
			}
		case routes.Pattern(name) != "":
			if schema["pattern"] != routes.Pattern(name) {
				t.Errorf("%s: the pattern is %v, want %s", what, schema["pattern"], routes.Pattern(name))
			}
		case name != "" && name != "required" && name != "omitnil":
			t.Errorf("%s: this test does not know the rule %s", what, rule)
		}
	}
}

// item is an event as OpenAPI 3.2 describes it.
func item(e ssetest.Event) node {
	n := node{"data": e.Data}
	if e.Name != "message" {
		n["event"] = e.Name
	}
	if e.ID != "" {
		n["id"] = e.ID
	}
	return n
}

func itemSchema(method, path string) any {
	response := resolve(operation(method, path)["responses"].(node)["200"])
	return response["content"].(node)[sse.MediaType].(node)["itemSchema"]
}

// TestOpenAPIHasTheEvents checks the golden streams, and that the check finds
// what is wrong with others.
func TestOpenAPIHasTheEvents(t *testing.T) {
	for _, name := range []string{"tick", "log", "progress"} {
		text, err := os.ReadFile("../testdata/" + name + ".sse")
		if err != nil {
			t.Fatal(err)
		}
		r := ssetest.NewReader(strings.NewReader(strings.ReplaceAll(string(text), "id: *", "id: 1-2")))
		events := 0
		for ; ; events++ {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if wrong := mismatch(itemSchema("GET", "/stream/"+name), item(e)); wrong != "" {
				t.Errorf("%s: %+v: %s", name, e, wrong)
			}
		}
		if events < 5 {
			t.Errorf("%s has %d events", name, events)
		}
	}
	for _, e := range []ssetest.Event{
		{ID: "1", Name: "tick", Data: `{"symbol":"BTC","price":0,"delta":1,"timestamp":1}`},
		{ID: "1", Name: "tick", Data: `{"symbol":"BTC","price":1,"delta":1,"timestamp":1.5}`},
		{ID: "1", Name: "tick", Data: `{"symbol":"BTC","price":1,"delta":1}`},
		{ID: "1", Name: "tick", Data: `{"symbol":"BTC","price":1,"delta":1,"timestamp":1,"more":1}`},
		{ID: "a", Name: "tick", Data: `{"symbol":"BTC","price":1,"delta":1,"timestamp":1}`},
		{Name: "tick", Data: `{"symbol":"BTC","price":1,"delta":1,"timestamp":1}`},
		{ID: "1", Name: "tock", Data: `{"symbol":"BTC","price":1,"delta":1,"timestamp":1}`},
		{ID: "1", Name: "tick", Data: `{`},
	} {
		if mismatch(itemSchema("GET", "/stream/tick"), item(e)) == "" {
			t.Errorf("%+v is no tick", e)
		}
	}
}

// TestStatusesOfEachRoute has those that no other test is about.
func TestStatusesOfEachRoute(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		h.problem(400, "POST", "/jobs", `{`, jsonType)
		h.problem(413, "POST", "/jobs", strings.Repeat(" ", 64<<10+1), jsonType)
		h.problem(404, "GET", "/stream/log", "") // none is configured
		h.problem(404, "GET", "/assets/nothing", "")
		h.app.Drain()
		h.problem(503, "DELETE", "/jobs/a", "")
	})
	config := options()
	config.Logs = logFiles(t)
	config.MaxStreams = 0
	h := start(t, config)
	defer h.stop()
	h.problem(503, "GET", "/stream/log", "")
}

// TestOpenAPIHasTheNulls: null stands for an optional field that is not given, and only for
// that; a payload may be null itself.
func TestOpenAPIHasTheNulls(t *testing.T) {
	bubble(t, options(), func(h *harness) {
		for path, body := range map[string]node{
			"/publish": {"channel": "a", "payload": 1.0},
			"/jobs":    {},
		} {
			content := operation("POST", path)["requestBody"].(node)["content"].(node)
			schema := content["application/json"].(node)["schema"]
			for name := range resolve(schema)["properties"].(node) {
				sent := maps.Clone(body)
				sent[name] = nil
				text, err := json.Marshal(sent)
				if err != nil {
					t.Fatal(err)
				}
				status, _, _ := h.answer("POST", path, string(text), jsonType)
				if wrong := mismatch(schema, sent); (wrong == "") != (status < 300) {
					t.Errorf("POST %s %s: %d, but in openapi.json: %q", path, text, status, wrong)
				}
			}
		}
	})
}

// TestOpenAPIHasTheBrokers: whatever keeps the events, /health answers as described.
func TestOpenAPIHasTheBrokers(t *testing.T) {
	for _, kind := range []string{"memory", "file", "redis"} {
		config := options()
		config.BrokerKind = kind
		h := start(t, config)
		if got := h.health().Broker; got != kind {
			t.Errorf("%q, want %q", got, kind)
		}
		h.stop()
	}
}

// TestOpenAPIIsWhole: each reference leads somewhere, each component is used, and
// each schema has only keywords that the checks know.
func TestOpenAPIIsWhole(t *testing.T) {
	text := string(routes.Description())
	for kind, components := range openAPI["components"].(node) {
		for name := range components.(node) {
			used := strings.Contains(text, `"#/components/`+kind+`/`+name+`"`) || kind == "securitySchemes" && strings.Contains(text, `{"`+name+`": []}`)
			if !used {
				t.Errorf("%s %s is not used", kind, name)
			}
		}
	}
	for _, reference := range regexp.MustCompile(`\{"\$ref": "[^"]*"\}`).FindAllString(text, -1) {
		var n node
		if err := json.Unmarshal([]byte(reference), &n); err != nil {
			t.Fatal(err)
		}
		resolve(n)
	}
	for _, schema := range openAPI["components"].(node)["schemas"].(node) {
		for keyword := range maps.Keys(schema.(node)) {
			if _, known := keywords[keyword]; !known && !slices.Contains(annotations, keyword) {
				t.Errorf("no check of %s", keyword)
			}
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 121 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
}
