package routes

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

// description describes all that a client may rely on, for tools. It is written
// by hand; the tests compare it with what the service does.
//
//go:embed openapi.json
var description []byte

// describe serves the description, in the form of OpenAPI 3.2.
func (s *Server) describe(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-cache") // it is that of the running binary
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, description)
}
