package routes

import "github.com/labstack/echo/v4"

// ParamsOf are the structs that requests are read into. Each has the tag "query",
// "json" or both.
var ParamsOf = map[string][]any{
	"GET /stream/tick":     {tickParams{}},
	"GET /stream/log":      {logParams{}},
	"GET /stream/progress": {progressParams{}},
	"GET /stream/channel":  {channelParams{}},
	"POST /publish":        {publishParams{}},
	"POST /jobs":           {jobParams{}},
}

// Pattern returns the regular expression of a validation rule, "" if it has none.
func Pattern(name string) string {
	if pattern := patterns[name]; pattern != nil {
		return pattern.String()
	}
	return ""
}

// Description is openapi.json.
func Description() []byte { return description }

// Routes are those that Echo serves.
func (s *Server) Routes() []*echo.Route { return s.echo.Routes() }
