package routes

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// allowOrigins lets pages of these origins read the answers, with credentials.
func allowOrigins(origins []string) echo.MiddlewareFunc {
	if len(origins) == 0 { // to Echo's middleware, no origin would mean any
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }
	}
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins:     origins,
		AllowCredentials: true,
		AllowMethods:     []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowHeaders:     []string{echo.HeaderContentType, echo.HeaderAuthorization, "Last-Event-ID"},
		ExposeHeaders:    []string{echo.HeaderLocation, echo.HeaderRetryAfter, "Last-Event-ID", "SSE-Heartbeat"},
	})
}

// refuseCrossSite lets pages of other sites, but for these origins, neither
// publish nor start or cancel jobs. It fails if an origin is none.
func refuseCrossSite(origins []string) (echo.MiddlewareFunc, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("origin %q must be like https://example.com: %w", origin, err)
		}
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := protection.Check(c.Request()); err != nil {
				return newProblem(http.StatusForbidden, "requests from another site are refused")
			}
			return next(c)
		}
	}, nil
}
