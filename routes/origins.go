package routes

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// preflightAge is how long browsers may keep the answer to a preflight.
const preflightAge = 2 * time.Hour

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
		MaxAge:        int(preflightAge.Seconds()),
		ExposeHeaders: []string{echo.HeaderLocation, echo.HeaderRetryAfter, "Last-Event-ID", "SSE-Heartbeat"},
	})
}

// newCrossOrigin returns what tells requests of pages of other sites, but for these
// origins. It fails if an origin is none.
func newCrossOrigin(origins []string) (*http.CrossOriginProtection, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("origin %q must be like https://example.com: %w", origin, err)
		}
	}
	return protection, nil
}

// refuseCrossSite lets pages of other sites neither publish nor start or cancel jobs.
func (s *Server) refuseCrossSite(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.mayWrite(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}

// mayWrite returns a 403 if a browser says that a page of another site sends the
// request, by its Sec-Fetch-Site or else its Origin, and the request is one that
// changes something, by its method.
func (s *Server) mayWrite(r *http.Request) error {
	if err := s.crossOrigin.Check(r); err != nil {
		return newProblem(http.StatusForbidden, "requests from another site are refused")
	}
	return nil
}
