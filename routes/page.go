package routes

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/web"
)

// pagePolicy lets the page load what is its own and nothing else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const pageFile = "index.html"

// page serves the demo page.
func (s *Server) page(c echo.Context) error { return servePage(c, pageFile) }

// asset serves what the page loads.
func (s *Server) asset(c echo.Context) error {
	name := c.Param("name")
	if name == pageFile { // it is at /
		return echo.ErrNotFound
	}
	return servePage(c, name)
}

func servePage(c echo.Context, name string) error {
	header := c.Response().Header()
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set(echo.HeaderCacheControl, "no-cache") // a new binary may have other files
	return echo.StaticFileHandler(name, web.Files)(c)
}

// description describes all that a client may rely on, for tools. It is written
// by hand; the tests compare it with what the service does.
//
//go:embed openapi.json
var description []byte

// describe serves the description, in the form of OpenAPI 3.2.
func (s *Server) describe(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-cache") // a new binary may have another one
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, description)
}
