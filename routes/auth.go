package routes

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// MinSecret is the least length of a JWT secret in bytes: as long as the hash that
// HS256 uses (RFC 7518, section 3.2).
const MinSecret = 32

// rights are the claims of a token (RFC 7519): what its bearer may do.
type rights struct {
	jwt.RegisteredClaims
	Subscribe []string // channel patterns
	Publish   []string // channel patterns
	Streams   []string // tick, log, progress, channel
}

// everything is what a client may do if the service needs no tokens.
var everything = &rights{Subscribe: []string{"*"}, Publish: []string{"*"}}

// clockLeeway is how far nbf and iat may lie in the future, because the issuer's clock is
// ahead. exp has none: a stream ends when its token expires.
const clockLeeway = 5 * time.Second

var tokenParser = jwt.NewParser(
	jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
	jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockLeeway),
)

// UnmarshalJSON reads the claims by their exact names, because encoding/json would take EXP
// for exp, too (RFC 7519, section 4).
func (r *rights) UnmarshalJSON(data []byte) error {
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	var exp, nbf, iat *float64
	for name, claim := range map[string]any{
		"iss": &r.Issuer, "sub": &r.Subject, "aud": &r.Audience, "jti": &r.ID, "exp": &exp, "nbf": &nbf, "iat": &iat,
		"subscribe": &r.Subscribe, "publish": &r.Publish, "streams": &r.Streams,
	} {
		if value, given := sent[name]; given {
			if err := json.Unmarshal(value, claim); err != nil {
				return err
			}
		}
	}
	r.ExpiresAt, r.NotBefore, r.IssuedAt = numericDate(exp), numericDate(nbf), numericDate(iat)
	return nil
}

// numericDate is a time in seconds since 1970, possibly with a fraction (RFC 7519, section
// 2). jwt's own reading would drop the fraction, and take strings.
func numericDate(seconds *float64) *jwt.NumericDate {
	if seconds == nil {
		return nil
	}
	whole, fraction := math.Modf(*seconds)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*1e9))}
}

// rightsOf returns the rights that authenticate has found.
func rightsOf(c echo.Context) *rights { return c.Get("rights").(*rights) }

// authenticate refuses requests without a valid token, if the service has a
// secret.
func (s *Server) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if len(s.config.JWTSecret) == 0 {
			c.Set("rights", everything)
			return next(c)
		}
		token := tokenOf(c.Request())
		if token == "" {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
			return newProblem(http.StatusUnauthorized, "a token is needed: in the Authorization header, the cookie sse_token or the parameter access_token")
		}
		r, isValid := s.parseToken(token)
		if !isValid {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer error="invalid_token"`)
			return newProblem(http.StatusUnauthorized, "the token is not valid, or has expired")
		}
		c.Set("rights", r)
		return next(c)
	}
}

// parseToken returns the rights of a token, and whether it is valid for this service.
func (s *Server) parseToken(token string) (r *rights, isValid bool) {
	r = &rights{}
	_, err := tokenParser.ParseWithClaims(token, r, func(token *jwt.Token) (any, error) {
		if _, ok := token.Header["crit"]; ok { // extensions that must be understood (RFC 7515, section 4.1.11)
			return nil, jwt.ErrTokenUnverifiable
		}
		return s.config.JWTSecret, nil
	})
	if err != nil || !time.Now().Before(r.ExpiresAt.Time) {
		return nil, false
	}
	if s.config.JWTAudience == "" { // a token for somebody is for nobody else (RFC 7519, section 4.1.3)
		return r, len(r.Audience) == 0
	}
	return r, slices.Contains(r.Audience, s.config.JWTAudience)
}

// tokenOf returns the token of a request, "" if it has none. EventSource can set no
// header, so the token may also be in the query, which is never logged, or in a cookie.
// The cookie comes last, because it may be old.
func tokenOf(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if token := r.URL.Query().Get("access_token"); token != "" {
		return token
	}
	if cookie, err := r.Cookie("sse_token"); err == nil {
		return cookie.Value
	}
	return ""
}

// mayUse returns a problem unless the token gives access to the stream. A token
// without a list of streams opens channels; a list must name the stream.
func mayUse(c echo.Context, stream string) error {
	r := rightsOf(c)
	if r == everything || slices.Contains(r.Streams, stream) || stream == channelStream && r.Streams == nil {
		return nil
	}
	return newProblem(http.StatusForbidden, "the token does not give access to "+stream)
}

// mayReach returns a problem unless one of the token's patterns covers the channel.
func mayReach(channel string, patterns []string) error {
	if slices.ContainsFunc(patterns, func(p string) bool { return covers(p, channel) }) {
		return nil
	}
	return newProblem(http.StatusForbidden, "the token does not give access to the channel "+channel)
}

// covers reports whether a pattern is the channel, or "*", or "prefix/*" and the
// channel is below the prefix.
func covers(pattern, channel string) bool {
	if pattern == "*" || pattern == channel {
		return true
	}
	prefix, isTree := strings.CutSuffix(pattern, "*")
	return isTree && strings.HasSuffix(prefix, "/") && len(channel) > len(prefix) && strings.HasPrefix(channel, prefix)
}

// allowOrigins lets pages of these origins read the answers, with credentials.
func allowOrigins(origins []string) echo.MiddlewareFunc {
	if len(origins) == 0 { // to Echo's middleware, no origin would mean any
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }
	}
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins:     origins,
		AllowCredentials: true,
		AllowMethods:     []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowHeaders: []string{
			echo.HeaderContentType, echo.HeaderAuthorization, "Last-Event-ID", echo.HeaderCacheControl, echo.HeaderXRequestedWith, echo.HeaderAccept,
		},
		MaxAge:        2 * 60 * 60, // seconds for which a browser may keep the answer to a preflight
		ExposeHeaders: []string{echo.HeaderLocation, echo.HeaderRetryAfter, "Last-Event-ID", "SSE-Heartbeat"},
	})
}

// errCrossSite is the answer to a request that would change something, if a browser says, by
// Sec-Fetch-Site or else Origin, that a page of another site sends it.
var errCrossSite = newProblem(http.StatusForbidden, "requests from another site are refused")
