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
	return s.tokenFor(life, streams...)
}

func (s *service) tokenFor(life time.Duration, streams ...string) string {
	s.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"exp": time.Now().Add(life).Unix(), "subscribe": []string{"*"}, "publish": []string{"*"}, "streams": streams,
	}).SignedString(s.secret)
	if err != nil {
		s.Fatal(err)
	}
	return token
}

func startServiceWithSecret(t *testing.T) *service {
	t.Helper()
	return startService(t, func(s *service) { s.secret = []byte("a secret of at least thirty-two bytes") })
}

const (
	tokenForm    = `form[data-action="token"]`
	tokenShown   = `!document.querySelector('` + tokenForm + `').hidden`
	tokenProblem = `document.querySelector('` + tokenForm + ` .problem').textContent`
)

func (p *tab) giveToken(token string) {
	p.Helper()
	p.fill(tokenForm, "token", token)
	p.do(chromedp.Click(chromedp.CSS(tokenForm + " button")))
}

// TestToken: the page asks for a token, keeps it, and asks for another one when it
// has expired; the streams go on after their last ids.
func TestToken(t *testing.T) {
	t.Parallel()
	s := startServiceWithSecret(t)
	b := startBrowser(t)
	p := b.open(s)
	p.until(tokenShown + ` && ` + tokenProblem + `.includes("token")`)
	p.until(state("progress", "closed"))
	p.clean(s)
	p.giveToken("no token")
	p.until(tokenProblem + `.startsWith("Refused")`)
	p.until(tokenShown)
	p.giveToken("")
	p.until(tokenProblem + `.startsWith("Paste the token")`)
	p.giveToken(s.token(time.Hour))
	p.until(all("open") + ` && !(` + tokenShown + `)`)
	for _, stream := range streams {
		p.showsNoProblem(stream)
	}
	p.publish("news", "0")
	p.until(`document.querySelectorAll(".events .data").length === 1`)

	other := b.open(s) // the streams are shared, and so is the token
	other.until(all("open"))
	other.publish("news", "1")
	p.wantNumbers(2)
	p.do(chromedp.Reload())
	p.until(all("open") + ` && !(` + tokenShown + `)`)
	p.wantNumbers(2)

	s.stop() // a secret that has changed makes all tokens invalid, as time does
	s.secret = []byte("another secret of thirty-two bytes or more")
	s.start()
	p.until(tokenShown)
	p.giveToken(s.token(2 * time.Second))
	s.publish("news", "2")
	// The field is emptied once its token is accepted. On a slow machine the token has expired by then.
	p.until(`document.querySelector('` + tokenForm + ` input').value === "" || ` + tokenProblem + `.startsWith("Refused")`)
	p.until(tokenShown) // it has expired
	p.giveToken(s.token(time.Hour))
	p.until(state("channel", "open"))
	p.publish("news", "3")
	p.until(`document.querySelector(".events li:last-child .data")?.textContent === "3"`)
	if got := p.eval(seen); got != numbers(4) {
		t.Error(got)
	}
}

// TestTokenWithoutRights: a token that the service accepts, and that does not open
// all streams, can be replaced by another one.
func TestTokenWithoutRights(t *testing.T) {
	t.Parallel()
	s := startServiceWithSecret(t)
	p := startBrowser(t).open(s)
	p.until(tokenShown)
	p.giveToken(s.tokenFor(time.Hour, "log", "channel", "progress"))
	p.until(state("log", "open") + ` && ` + state("channel", "open") + ` && ` + state("progress", "open"))
	p.until(state("tick", "closed") + ` && ` + text("tick", `[role="alert"]`) + ` === "the token does not give access to tick"`)
	p.until(tokenShown + ` && ` + tokenProblem + ` === "the token does not give access to tick"`)
	p.giveToken(s.token(time.Hour))
	p.until(all("open") + ` && !(` + tokenShown + `) && ` + text("tick", `[role="alert"]`) + ` === ""`)
}
