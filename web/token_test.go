package web_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/golang-jwt/jwt/v5"
)

// token returns one that opens everything and lives for a while.
func (s *service) token(life time.Duration) string {
	s.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"exp": time.Now().Add(life).Unix(), "subscribe": []string{"*"}, "publish": []string{"*"}, "streams": streams,
	}).SignedString(s.secret)
	if err != nil {
		s.Fatal(err)
	}
	return token
}

// TestToken: the page asks for a token, keeps it, and asks for another one when it
// has expired; the streams go on after their last ids.
func TestToken(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.stop()
	s.secret = []byte("a secret of at least thirty-two bytes")
	s.start()
	b := startBrowser(t)
	p := b.open(s)
	const form = `form[data-action="token"]`
	give := func(token string) {
		p.fill(form, "token", token)
		p.do(chromedp.Click(chromedp.CSS(form + " button")))
	}
	shown := `!document.querySelector('` + form + `').hidden`
	problem := `document.querySelector('` + form + ` .problem').textContent`
	p.until(shown + ` && ` + problem + `.includes("token")`)
	give("no token")
	p.until(problem + `.startsWith("Refused")`)
	p.until(shown)
	give("")
	p.until(problem + `.startsWith("Paste the token")`)
	give(s.token(time.Minute))
	p.until(all("open") + ` && document.querySelector('` + form + `').hidden`)
	p.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)

	other := b.open(s) // the streams are shared, and so is the token
	other.until(all("open"))
	other.publish("news", "1")
	p.wantNumbers(2)
	p.do(chromedp.Reload())
	p.until(all("open") + ` && document.querySelector('` + form + `').hidden`)
	p.wantNumbers(2)

	s.stop() // a secret that has changed makes all tokens invalid, as time does
	s.secret = []byte("another secret of thirty-two bytes or more")
	s.start()
	p.until(shown)
	give(s.token(4 * time.Second))
	s.publish("news", "2")
	p.until(`!(` + shown + `) || ` + problem + `.startsWith("Refused")`) // the machine may be slow
	p.until(shown)                                                       // it has expired
	give(s.token(time.Minute))
	p.until(state("channel", "open"))
	p.publish("news", "3")
	p.until(`document.querySelector(".events li:last-child .data")?.textContent === "3"`)
	if got := p.eval(seen); got != numbers(4) {
		t.Error(got)
	}
}
