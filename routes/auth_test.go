package routes_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const secret = "a secret of at least thirty-two bytes"

// token signs claims by hand, so that what is tested does not sign for itself.
func token(header string, claims map[string]any, key string) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode(body)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

const hs256 = `{"alg":"HS256","typ":"JWT"}`

// claims of the tenant 42, for a minute.
func claims(more map[string]any) map[string]any {
	c := map[string]any{
		"exp":       time.Now().Add(time.Minute).Unix(),
		"subscribe": []string{"tenant-42/*", "news"},
		"publish":   []string{"tenant-42/in"},
		"streams":   []string{"tick", "channel"},
	}
	for name, value := range more {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func bearer(token string) string { return "Authorization: Bearer " + token }

func TestWithoutAToken(t *testing.T) {
	config := options()
	config.JWTSecret = []byte(secret)
	bubble(t, config, func(h *harness) {
		for _, r := range []struct{ method, path, body string }{
			{"GET", "/stream/tick", ""},
			{"GET", "/stream/tick?interval=1", ""},
			{"GET", "/stream/log", ""},
			{"GET", "/stream/progress?id=a", ""},
			{"GET", "/stream/channel?name=news", ""},
			{"POST", "/publish", `{"channel":"news","payload":1}`},
			{"POST", "/publish", `rubbish`},
			{"POST", "/jobs", `{}`},
			{"DELETE", "/jobs/a", ""},
		} {
			h.problem(401, r.method, r.path, r.body, jsonType)
			if _, header, _ := h.answer(r.method, r.path, r.body, jsonType); !strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: WWW-Authenticate %q", r.path, header.Get("WWW-Authenticate"))
			}
			h.problem(401, r.method, r.path, r.body, jsonType, "Accept: text/event-stream")
		}
		for _, path := range []string{"/", "/assets/app.js", "/health", "/metrics"} {
			if status, _, body := h.answer("GET", path, ""); status != 200 {
				t.Error(path, status, body)
			}
		}
	})
}

func TestBadTokens(t *testing.T) {
	config := options()
	config.JWTSecret = []byte(secret)
	bubble(t, config, func(h *harness) {
		good := token(hs256, claims(nil), secret)
		parts := strings.Split(good, ".")
		other := strings.Split(token(hs256, claims(map[string]any{"subscribe": []string{"*"}}), "another secret"), ".")
		for name, bad := range map[string]string{
			"rubbish":            "rubbish",
			"another secret":     token(hs256, claims(nil), secret+"x"),
			"no signature":       parts[0] + "." + parts[1] + ".",
			"alg none":           token(`{"alg":"none"}`, claims(nil), secret),
			"alg none, bare":     strings.TrimRight(token(`{"alg":"none"}`, claims(nil), secret), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
			"HS384 in name":      token(`{"alg":"HS384"}`, claims(nil), secret),
			"RS256 in name":      token(`{"alg":"RS256"}`, claims(nil), secret),
			"claims exchanged":   parts[0] + "." + other[1] + "." + parts[2],
			"expired":            token(hs256, claims(map[string]any{"exp": time.Now().Add(-time.Second).Unix()}), secret),
			"no exp":             token(hs256, claims(map[string]any{"exp": nil}), secret),
			"exp is no number":   token(hs256, claims(map[string]any{"exp": "soon"}), secret),
			"exp in a string":    token(hs256, claims(map[string]any{"exp": strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)}), secret),
			"nbf in a string":    token(hs256, claims(map[string]any{"nbf": "1"}), secret),
			"iat in a string":    token(hs256, claims(map[string]any{"iat": "1"}), secret),
			"not yet":            token(hs256, claims(map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}), secret),
			"crit":               token(`{"alg":"HS256","crit":["b64"],"b64":true}`, claims(nil), secret),
			"EXP is not exp":     token(hs256, claims(map[string]any{"exp": 1, "EXP": time.Now().Add(time.Minute).Unix()}), secret),
			"no exp but EXP":     token(hs256, claims(map[string]any{"exp": nil, "EXP": time.Now().Add(time.Minute).Unix()}), secret),
			"aud is a number":    token(hs256, claims(map[string]any{"aud": 5}), secret),
			"iss is a number":    token(hs256, claims(map[string]any{"iss": 5}), secret),
			"rights are no list": token(hs256, claims(map[string]any{"subscribe": "news"}), secret),
		} {
			p := h.problem(401, "GET", "/stream/channel?name=news", "", bearer(bad))
			if strings.Contains(p.Detail, bad) {
				t.Errorf("%s: the token is in the answer", name)
			}
		}
	})
}

func TestRights(t *testing.T) {
	config := options()
	config.JWTSecret = []byte(secret)
	config.Logs = logFiles(t)
	bubble(t, config, func(h *harness) {
		mine := bearer(token(hs256, claims(nil), secret))
		for _, path := range []string{
			"channel?name=tenant-43/a", "channel?name=tenant-42", "channel?name=tenant-42x/a", "channel?name=tenant-42/", "channel?name=other",
			"channel?name=news/a", "channel?name=tenant-42/a&name=tenant-43/a", "log?lines=0", "progress?id=a",
		} {
			h.problem(403, "GET", "/stream/"+path, "", mine)
		}
		for _, path := range []string{"channel?name=tenant-42/a&name=tenant-42/b/c&name=news", "tick"} {
			h.stream("/stream/"+path, mine).close()
		}
		h.problem(403, "POST", "/publish", `{"channel":"tenant-43/in","payload":1}`, jsonType, mine)
		h.problem(403, "POST", "/publish", `{"channel":"tenant-42/a","payload":1}`, jsonType, mine)
		h.problem(403, "POST", "/jobs", `{}`, jsonType, mine)
		h.problem(403, "DELETE", "/jobs/a", "", mine)
		if status, _, body := h.answer("POST", "/publish", `{"channel":"tenant-42/in","payload":1}`, jsonType, mine); status != 200 {
			t.Error(status, body)
		}
		h.problem(422, "GET", "/stream/tick?interval=1", "", mine)

		everything := bearer(token(hs256, claims(map[string]any{"subscribe": []string{"*"}, "streams": nil}), secret))
		h.stream("/stream/channel?name=any/thing", everything).close()
		h.problem(403, "GET", "/stream/tick", "", everything)
		noPath := bearer(token(hs256, claims(map[string]any{"subscribe": []string{"tenant-4*"}, "streams": nil}), secret))
		h.problem(403, "GET", "/stream/channel?name=tenant-42/a", "", noPath)
		tickOnly := bearer(token(hs256, claims(map[string]any{"streams": []string{"tick"}}), secret))
		h.problem(403, "GET", "/stream/channel?name=news", "", tickOnly)
		shouted := bearer(token(hs256, claims(map[string]any{"STREAMS": []string{"log"}, "\u017ftreams": []string{"log"}, "Subscribe": []string{"*"}}), secret))
		h.problem(403, "GET", "/stream/log?lines=0", "", shouted) // the names of claims are case-sensitive (RFC 7519, section 4)
		h.problem(403, "GET", "/stream/channel?name=other", "", shouted)
		h.stream("/stream/channel?name=news", shouted).close()
		worker := bearer(token(hs256, claims(map[string]any{"streams": []string{"progress"}}), secret))
		if status, _, body := h.answer("POST", "/jobs", `{"id":"a"}`, jsonType, worker); status != 202 {
			t.Error(status, body)
		}
		h.stream("/stream/progress?id=a", worker).close()
		if status, _, body := h.answer("DELETE", "/jobs/a", "", worker); status != 204 {
			t.Error(status, body)
		}
	})
}

// TestWhereTheTokenIs: in the header, a cookie or the query, and never in a log
// or a metric.
func TestWhereTheTokenIs(t *testing.T) {
	config := options()
	config.JWTSecret = []byte(secret)
	bubble(t, config, func(h *harness) {
		good := token(hs256, claims(nil), secret)
		h.stream("/stream/tick", bearer(good)).close()
		h.stream("/stream/tick", "Authorization: bearer "+good).close()
		h.stream("/stream/tick", "Cookie: a=b; sse_token="+good).close()
		h.stream("/stream/tick?access_token=" + good).close()
		h.stream("/stream/tick?access_token="+good, "Cookie: sse_token=expired").close()
		h.problem(401, "GET", "/stream/tick?access_token="+good+"x", "")
		_, _, metrics := h.answer("GET", "/metrics", "")
		for part := range strings.SplitSeq(good, ".") {
			if strings.Contains(h.log.text()+metrics, part) {
				t.Error("a part of the token was written down")
			}
		}
	})
}

func TestStreamEndsWithItsToken(t *testing.T) {
	config := options()
	config.JWTSecret = []byte(secret)
	bubble(t, config, func(h *harness) {
		for _, life := range []time.Duration{time.Minute, 5 * time.Second, 500 * time.Millisecond} { // beyond the first heartbeat, and before it
			began := time.Now()
			good := token(hs256, claims(map[string]any{"exp": float64(began.Add(life).UnixMilli()) / 1000}), secret)
			s := h.stream("/stream/channel?name=news", bearer(good))
			s.ends()
			synctest.Wait()
			if lived := time.Since(began); lived != life {
				t.Errorf("the stream lived %v, its token %v", lived, life)
			}
		}
		if n := strings.Count(h.log.text(), `"reason":"expired"`); n != 3 {
			t.Error(n, h.log.text())
		}
	})
}

// TestClocksOfTokens: a clock that is a little ahead issues good tokens, but none
// that is good for longer.
func TestClocksOfTokens(t *testing.T) {
	config := options()
	config.JWTSecret = []byte(secret)
	bubble(t, config, func(h *harness) {
		in := func(d time.Duration) float64 { return float64(time.Now().Add(d).UnixMilli()) / 1000 }
		for _, tt := range []struct {
			claim  string
			value  float64
			status int
		}{
			{"nbf", in(5 * time.Second), 200},
			{"nbf", in(7 * time.Second), 401},
			{"iat", in(5 * time.Second), 200},
			{"iat", in(7 * time.Second), 401},
			{"exp", in(time.Second), 200},
			{"exp", in(250 * time.Millisecond), 200}, // a NumericDate may have a fraction (RFC 7519, section 2)
			{"exp", in(0), 401},
			{"exp", in(-2 * time.Second), 401},
		} {
			status, _, body := h.answer("GET", "/stream/tick?wait=0", "", bearer(token(hs256, claims(map[string]any{tt.claim: tt.value}), secret)))
			if status != tt.status {
				t.Errorf("%s %v s from now: %d %s", tt.claim, tt.value-in(0), status, body)
			}
		}
	})
}

// TestAudience: a token for somebody is for nobody else.
func TestAudience(t *testing.T) {
	for _, tt := range []struct {
		audience string
		claim    any
		status   int
	}{
		{"", nil, 200},
		{"", "live", 401},
		{"", []string{"live"}, 401},
		{"", "", 401},
		{"live", "live", 200},
		{"live", []string{"shop", "live"}, 200},
		{"live", "shop", 401},
		{"live", []string{}, 401},
		{"live", nil, 401},
	} {
		config := options()
		config.JWTSecret, config.JWTAudience = []byte(secret), tt.audience
		bubble(t, config, func(h *harness) {
			status, _, body := h.answer("GET", "/stream/tick?wait=0", "", bearer(token(hs256, claims(map[string]any{"aud": tt.claim}), secret)))
			if status != tt.status {
				t.Errorf("audience %q, aud %v: %d %s", tt.audience, tt.claim, status, body)
			}
		})
	}
}

func TestOtherOrigins(t *testing.T) {
	config := options()
	config.CORSOrigins = []string{"https://good.test", "http://dev.test:3000"}
	bubble(t, config, func(h *harness) {
		const body = `{"channel":"a","payload":1}`
		for _, origin := range config.CORSOrigins {
			s := h.stream("/stream/tick", "Origin: "+origin)
			s.close()
			if got := s.response.Header; got.Get("Access-Control-Allow-Origin") != origin || got.Get("Access-Control-Allow-Credentials") != "true" {
				t.Errorf("%s: %v", origin, got)
			}
			status, header, text := h.answer("POST", "/publish", body, jsonType, "Origin: "+origin, "Sec-Fetch-Site: cross-site")
			if status != 200 || header.Get("Access-Control-Allow-Origin") != origin {
				t.Error(status, text, header)
			}
			_, header, _ = h.answer("OPTIONS", "/jobs/a", "", "Origin: "+origin, "Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: content-type")
			if !strings.Contains(header.Get("Access-Control-Allow-Methods"), "DELETE") {
				t.Errorf("preflight: %v", header)
			}
			for _, name := range []string{"Content-Type", "Authorization", "Last-Event-ID", "Cache-Control", "X-Requested-With", "Accept"} {
				if !slices.Contains(strings.Split(header.Get("Access-Control-Allow-Headers"), ","), name) {
					t.Errorf("preflight for %s: %v", name, header)
				}
			}
			if header.Get("Access-Control-Max-Age") != "7200" {
				t.Errorf("a preflight is not kept for two hours: %v", header)
			}
			_, header, _ = h.answer("GET", "/stream/tick?interval=1", "", "Origin: "+origin)
			if header.Get("Access-Control-Allow-Origin") != origin {
				t.Error("the page cannot read what is wrong")
			}
		}
		for _, origin := range []string{"https://evil.test", "https://good.test.evil.test", "http://good.test", "null"} {
			if _, header, _ := h.answer("GET", "/health", "", "Origin: "+origin); header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s may read: %v", origin, header)
			}
			h.problem(403, "POST", "/publish", body, jsonType, "Origin: "+origin, "Sec-Fetch-Site: cross-site")
			h.problem(403, "POST", "/jobs", "", "Origin: "+origin)
		}
	})
	bubble(t, options(), func(h *harness) {
		if _, header, _ := h.answer("GET", "/health", "", "Origin: https://good.test"); header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("without --cors-origin any page may read")
		}
	})
}
